import { defineConfig, globalIgnores } from 'eslint/config';
import boundaries from 'eslint-plugin-boundaries';
import tseslint from 'typescript-eslint';

/** The module order of the house: a module imports itself and what stands to its left, never what stands to its right. */
const order = [
  'common',
  'config',
  'crypto',
  'database',
  'audit',
  'auth',
  'hospital',
  'access',
  'tlog',
  'ledger',
  'witness',
  'patient',
  'record',
  'doctor',
  'erasure',
  'fhir',
  'health',
  'app',
];

const elements = [
  { type: 'ledger-core', pattern: 'src/ledger/core' },
  ...order.slice(0, -1).map((name) => ({ type: name, pattern: `src/${name}` })),
  { type: 'app', pattern: 'src' },
];
const may = (from, to) => ({ from: { element: { type: from } }, allow: to.map((type) => ({ to: { element: { type } } })) });
const policies = [
  may('ledger-core', ['ledger-core']),
  ...order.map((name, position) => {
    const left = order.slice(0, position + 1);
    return may(name, left.includes('tlog') ? [...left, 'ledger-core'] : left);
  }),
];

export default defineConfig(
  globalIgnores(['dist', 'coverage', 'data', '**/*.js', '**/*.mjs', '**/*.cjs']),
  tseslint.configs.recommendedTypeChecked,
  {
    languageOptions: { parserOptions: { projectService: true, tsconfigRootDir: import.meta.dirname } },
    rules: {
      '@typescript-eslint/consistent-type-imports': 'off', // `import type` of an injected class breaks Nest's injection
      '@typescript-eslint/no-explicit-any': 'error',
      '@typescript-eslint/switch-exhaustiveness-check': 'error',
      '@typescript-eslint/no-unused-vars': ['error', { argsIgnorePattern: '^_' }],
      eqeqeq: 'error',
    },
  },
  {
    files: ['src/**/*.ts'],
    ignores: ['**/*.spec.ts'],
    plugins: { boundaries },
    settings: { 'import/resolver': { node: { extensions: ['.ts'] } }, 'boundaries/elements': elements },
    rules: {
      'max-lines': ['error', 300],
      'boundaries/no-unknown-files': 'error',
      'boundaries/dependencies': ['error', { default: 'disallow', policies }],
      'no-restricted-properties': ['error', { object: 'process', property: 'env', message: 'Only src/config reads the environment.' }],
    },
  },
  { files: ['src/config/**/*.ts'], rules: { 'no-restricted-properties': 'off' } },
  {
    files: ['test/**/*.ts', '**/*.spec.ts'],
    rules: { '@typescript-eslint/no-unsafe-assignment': 'off', '@typescript-eslint/no-unsafe-member-access': 'off' },
  },
);
