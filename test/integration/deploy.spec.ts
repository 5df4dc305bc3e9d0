import { CORE_SCHEMA, load, loadAll, mergeTag } from 'js-yaml';
import { existsSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { readConfig } from '../../src/config/config';
import { startTestApp } from '../support/test-app';

/** The manifests and the compose file fit the server: its settings, its paths, how it ends. */
const ROOT = join(__dirname, '../..');
const read = (path: string) => readFileSync(join(ROOT, path), 'utf8');

const docs = read('docs/operations.md');
const documented = new Set([...read('.env.example').matchAll(/^#?([A-Z][A-Z0-9_]+)=/gm)].map((match) => match[1] ?? ''));

interface Probe {
  readonly httpGet: { readonly path: string; readonly port: string };
}
type ProbeName = 'startupProbe' | 'readinessProbe' | 'livenessProbe';
interface Container extends Readonly<Record<ProbeName, Probe>> {
  readonly command?: readonly string[];
  readonly args: readonly string[];
  readonly env: readonly { readonly name: string; readonly value: string }[];
  readonly ports: readonly { readonly containerPort: number; readonly name: string }[];
  readonly resources: object;
  readonly securityContext: object;
  readonly volumeMounts: readonly { readonly name: string; readonly mountPath: string }[];
}
interface Pod {
  readonly containers: readonly Container[];
  readonly initContainers?: readonly Container[];
  readonly volumes: readonly { readonly name: string }[];
  readonly securityContext: object;
  readonly automountServiceAccountToken: boolean;
  readonly terminationGracePeriodSeconds: number;
}
type Labels = Readonly<Record<string, string>>;
/** Of a manifest, what is looked at here; which of it there is depends on its kind. */
interface Manifest {
  readonly kind: string;
  readonly metadata: { readonly name: string; readonly namespace: string; readonly labels: Labels };
  readonly data: Labels;
  readonly spec: {
    readonly selector: { readonly matchLabels: Labels };
    readonly template: { readonly metadata: { readonly labels: Labels }; readonly spec: Pod };
    readonly ports: readonly { readonly targetPort: string }[];
    readonly scaleTargetRef: object;
    readonly policyTypes: readonly string[];
    readonly podSelector: { readonly matchExpressions: readonly { readonly values: readonly string[] }[] };
    readonly ingress: readonly { readonly ports: readonly object[] }[];
  };
}

const manifests = readdirSync(join(ROOT, 'deploy/kubernetes')).flatMap(
  (file) => loadAll(read(join('deploy/kubernetes', file))) as Manifest[],
);
function manifest(kind: string): Manifest {
  const found = manifests.find((item) => item.kind === kind);
  if (!found) throw new Error(`there is no ${kind}`);
  return found;
}
const podOf = (kind: string): Pod => manifest(kind).spec.template.spec;
const containersOf = ({ initContainers = [], containers }: Pod) => [...initContainers, ...containers];
const settings = manifest('ConfigMap').data;

describe('Kubernetes manifests fit the server', () => {
  const pods = ['Deployment', 'Job'].map((name) => ({ name, pod: podOf(name) }));

  test('the settings are ones that the server takes, in production', () => {
    for (const name of Object.keys(settings)) expect([name, documented.has(name)]).toEqual([name, true]);
    const dir = mkdtempSync(join(tmpdir(), 'bjwt-ehr-deploy-'));
    writeFileSync(join(dir, 'secret'), 'x\n', { mode: 0o600 });
    const files = Object.fromEntries(
      Object.keys(settings)
        .filter((name) => name.endsWith('_FILE'))
        .map((name) => [name, join(dir, 'secret')]),
    );
    const owner = Object.fromEntries((podOf('Job').containers[0]?.env ?? []).map(({ name, value }) => [name, value]));
    const config = readConfig({ ...settings, ...owner, ...files, DATABASE_OWNER_PASSWORD_FILE: join(dir, 'secret') });
    rmSync(dir, { recursive: true });
    expect(config.production).toBe(true);
    expect(config.postgres?.user).not.toBe(config.postgresOwner?.user);
    expect(config.postgres?.database).toBe(config.postgresOwner?.database);
  });

  test('SEC-88 no manifest holds a secret, and every file that a setting names is mounted', () => {
    expect(manifests.some(({ kind }) => kind === 'Secret')).toBe(false);
    const { containers, initContainers } = podOf('Deployment');
    const mounts = (containers[0]?.volumeMounts ?? []).map(({ mountPath }) => mountPath);
    const paths = Object.entries(settings).filter(([name]) => /_(FILE|DIR)$/.test(name));
    expect(paths.length).toBeGreaterThan(4);
    for (const [name, path] of paths)
      expect([name, mounts.some((mount) => path === mount || path.startsWith(`${mount}/`))]).toEqual([name, true]);
    const script = initContainers?.[0]?.args[0];
    expect(script).toContain(`install -d -m 700 ${settings['KEYS_DIR']}\n`);
    expect(script).toContain(`install -m 600 /secrets/metrics/token ${settings['METRICS_TOKEN_FILE']}\n`);
    for (const { pod } of pods)
      for (const { name } of containersOf(pod).flatMap(({ volumeMounts }) => volumeMounts))
        expect([name, pod.volumes.some((volume) => volume.name === name)]).toEqual([name, true]);
  });

  test.each(pods)('$name: as nobody special, read-only, without rights, within limits', ({ pod }) => {
    expect(pod.securityContext).toMatchObject({ runAsNonRoot: true, runAsUser: 1000, seccompProfile: { type: 'RuntimeDefault' } });
    expect(pod.automountServiceAccountToken).toBe(false);
    for (const container of containersOf(pod)) {
      expect(container.securityContext).toEqual({
        allowPrivilegeEscalation: false,
        readOnlyRootFilesystem: true,
        capabilities: { drop: ['ALL'] },
      });
      expect(container.resources).toMatchObject({
        requests: { cpu: expect.any(String), memory: expect.any(String) },
        limits: { memory: expect.any(String) },
      });
      const program = container.command?.find((word) => word.startsWith('dist/'));
      if (program !== undefined)
        expect([program, existsSync(join(ROOT, program.replace(/^dist\//, '').replace(/\.js$/, '.ts')))]).toEqual([program, true]);
    }
    expect(manifest('Namespace').metadata.labels['pod-security.kubernetes.io/enforce']).toBe('restricted');
  });

  test('probes ask for what the server answers; a restart is asked for by the process alone', async () => {
    const app = await startTestApp();
    const [container] = podOf('Deployment').containers;
    for (const probe of ['startupProbe', 'readinessProbe', 'livenessProbe'] as const) {
      const { path = '', port } = container?.[probe].httpGet ?? {};
      expect([path, (await fetch(`${app.url}${path}`)).status, port]).toEqual([path, 200, 'http']);
    }
    expect(container?.livenessProbe.httpGet.path).toBe('/health/live');
    await app.close();
  });

  test('a pod that ends has time to: delay, running requests, and what the server needs to close', () => {
    const { terminationGracePeriodSeconds } = podOf('Deployment');
    const { delaySeconds, seconds } = readConfig({ ...settings, DATABASE_URL: '', DATABASE_OWNER_URL: '' }).shutdown;
    expect(delaySeconds).toBeGreaterThan(0);
    expect(terminationGracePeriodSeconds).toBeGreaterThanOrEqual(delaySeconds + seconds + 7);
  });

  test('Service, budget, autoscaler and network policy speak of these pods and their port', () => {
    const labels = manifest('Deployment').spec.template.metadata.labels;
    expect(manifest('Deployment').spec.selector.matchLabels).toEqual(labels);
    expect(manifest('Service').spec.selector).toEqual(labels);
    expect(manifest('PodDisruptionBudget').spec.selector.matchLabels).toEqual(labels);
    expect(manifest('HorizontalPodAutoscaler').spec.scaleTargetRef).toEqual({
      apiVersion: 'apps/v1',
      kind: 'Deployment',
      name: manifest('Deployment').metadata.name,
    });
    const { containerPort, name } = podOf('Deployment').containers[0]?.ports[0] ?? {};
    expect(String(containerPort)).toBe(settings['PORT']);
    expect(manifest('Service').spec.ports[0]?.targetPort).toBe(name);
    const policy = manifest('NetworkPolicy').spec;
    expect(policy.policyTypes).toEqual(['Ingress', 'Egress']);
    const names = policy.podSelector.matchExpressions[0]?.values;
    for (const { name: podKind } of pods)
      expect(names).toContain(manifest(podKind).spec.template.metadata.labels['app.kubernetes.io/name']);
    expect(policy.ingress[0]?.ports).toEqual([{ protocol: 'TCP', port: containerPort }]);
    expect(new Set(manifests.filter(({ kind }) => kind !== 'Namespace').map(({ metadata }) => metadata.namespace))).toEqual(
      new Set([manifest('Namespace').metadata.name]),
    );
  });
});

interface Compose {
  readonly services: Readonly<
    Record<string, { readonly image: string; readonly environment?: Labels; readonly volumes?: readonly string[] }>
  >;
  readonly volumes: object;
}
interface PrometheusSettings {
  readonly rule_files: readonly string[];
  readonly scrape_configs: readonly {
    readonly job_name: string;
    readonly authorization: { readonly credentials_file: string };
    readonly static_configs: readonly { readonly targets: readonly string[] }[];
  }[];
}

describe('docker compose', () => {
  const compose = load(read('docker-compose.yml'), { schema: CORE_SCHEMA.withTags(mergeTag) }) as Compose;
  const ours = Object.entries(compose.services).filter(([, { image }]) => image === 'bjwt-ehr');

  test('its settings are ones that the server takes, in production as the image says', () => {
    expect(ours.length).toBeGreaterThan(5);
    for (const [name, { environment }] of ours)
      for (const variable of Object.keys(environment ?? {}))
        expect([name, variable, documented.has(variable)]).toEqual([name, variable, true]);
    expect(readConfig({ ...compose.services['fleet-a']?.environment, NODE_ENV: 'production', HOST: '0.0.0.0' }).postgres?.host).toBe(
      '/run/postgresql',
    );
  });

  test('volumes are declared, and files that are mounted exist', () => {
    for (const [name, service] of Object.entries(compose.services))
      for (const mount of service.volumes ?? []) {
        const [source = ''] = mount.split(':');
        expect([name, source, source.startsWith('.') ? existsSync(join(ROOT, source)) : source in compose.volumes]).toEqual([
          name,
          source,
          true,
        ]);
      }
  });

  test('Prometheus asks the servers of the fleet, with the token that they take', () => {
    const { rule_files, scrape_configs } = load(read('deploy/prometheus/prometheus.yaml')) as PrometheusSettings;
    const [job] = scrape_configs;
    expect(rule_files).toEqual(['alerts.yaml']);
    expect(job?.job_name).toBe('bjwt-ehr');
    for (const target of job?.static_configs[0]?.targets ?? []) expect(Object.keys(compose.services)).toContain(target.split(':')[0]);
    expect(job?.authorization.credentials_file).toBe('/run/secrets/metrics');
    expect(compose.services['prometheus']?.volumes).toContain('fleet-token:/run/secrets:ro');
    expect(compose.services['fleet-a']?.environment?.['METRICS_TOKEN_FILE']).toBe('/token/metrics');
  });
});

describe('docs/operations.md', () => {
  test('every setting of the server is in it or in the README', () => {
    const text = docs + read('README.md') + read('docs/cluster.md');
    for (const name of documented)
      expect([name, new RegExp(`\\b${name}\\b`).test(text) || name === 'CLUSTER_WORKER']).toEqual([name, true]); // the cluster sets that one itself
  });

  test('every file and every heading that it links to exists', () => {
    for (const [, target = ''] of docs.matchAll(/\]\(([^)#]+)(?:#[^)]*)?\)/g))
      if (!target.startsWith('http')) expect([target, existsSync(join(ROOT, 'docs', target))]).toEqual([target, true]);
    for (const [, heading = ''] of docs.matchAll(/\]\(#([^)]+)\)/g)) {
      const headings = [...docs.matchAll(/^#+ (.*)$/gm)].map(([, text = '']) =>
        text
          .toLowerCase()
          .replace(/[^\w -]/g, '')
          .replaceAll(' ', '-'),
      );
      expect(headings).toContain(heading);
    }
  });
});
