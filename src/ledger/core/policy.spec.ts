import fc from 'fast-check';
import { full, log, logLine, signer, v, witnessLines, x1, x2, x3 } from '../../../test/reference/note-kit';
import { FormatError, sha256 } from './bytes';
import { checkpointText } from './checkpoint';
import { signCosignature } from './cosignature';
import { NoteSigner, formatNote, signNote } from './note';
import { Policy, parsePolicy, verifyCheckpoint } from './policy';
import { formatVkey, noteKey } from './vkey';

const faultOf = (text: Uint8Array | string): string => {
  try {
    parsePolicy(text);
    return 'accepted';
  } catch (error) {
    return error instanceof FormatError ? error.message : `another error: ${String(error)}`;
  }
};

describe('policies', () => {
  it('reads logs, witnesses and the quorum', () => {
    const policy = parsePolicy(`${logLine.trimEnd()} https://log.example/\nwitness W ${v(x1)} https://w.example/\nquorum W\n`);
    expect(policy).toMatchObject({
      logs: [{ key: log.key, url: 'https://log.example/' }],
      witnesses: [{ name: 'W', key: x1.key, url: 'https://w.example/' }],
      quorumName: 'W',
    });
    expect(parsePolicy(logLine + 'quorum none\n').logs[0]).toEqual({ key: log.key });
    expect(parsePolicy(Buffer.from(full)).witnesses.map(({ name }) => name)).toEqual(['X1', 'X2', 'X3', 'Y1', 'Y2']);
    expect(parsePolicy('quorum none\n')).toMatchObject({ logs: [], witnesses: [], quorumName: 'none' });
  });

  it('allows white space, empty lines and comments, and lines in any order that defines before it uses', () => {
    const text = `# a comment\n \t\n  # another, \u00fc\n\tlog \t ${v(log)}  \n\nwitness W ${v(x1)}\nquorum W\nwitness later ${v(x2)}\n`;
    expect(parsePolicy(text)).toMatchObject({ quorumName: 'W', witnesses: [{ name: 'W' }, { name: 'later' }] });
  });

  it.each([
    [[], false],
    [['X1', 'X2'], false],
    [['Y1', 'Y2'], false],
    [['X1', 'Y1'], false],
    [['X1', 'X3', 'Y2'], true],
    [['X1', 'X2', 'X3', 'Y1', 'Y2'], true],
    [['X', 'Y', 'X-and-Y'], false],
    [['X1', 'X2', 'Z', 'none'], false],
  ])('quorum by groups: %j is %s', (names, met) => expect(parsePolicy(full).quorumMet(new Set(names))).toBe(met));

  it('quorum by thresholds', () => {
    const quorum = (group: string): Policy['quorumMet'] => parsePolicy(`${witnessLines}group G ${group}\nquorum G\n`).quorumMet;
    for (const [group, least] of [
      ['all X1 X2 X3', 3],
      ['any X1 X2 X3', 1],
      ['1 X1 X2 X3', 1],
      ['2 X1 X2 X3', 2],
      ['3 X1 X2 X3', 3],
      ['all X1', 1],
    ] as const) {
      const names = ['X1', 'X2', 'X3'];
      for (let n = 0; n <= 3; n += 1) expect([group, n, quorum(group)(new Set(names.slice(0, n)))]).toEqual([group, n, n >= least]);
    }
    expect(parsePolicy('quorum none\n').quorumMet(new Set())).toBe(true);
    // Names are not what they may look like.
    const odd = parsePolicy(`witness any ${v(x1)}\nwitness __proto__ ${v(x2)}\ngroup 2 2 any __proto__\nquorum 2\n`);
    expect([odd.quorumMet(new Set(['any'])), odd.quorumMet(new Set(['any', '__proto__']))]).toEqual([false, true]);
  });

  const id = noteKey('other', 4, x1.key.publicKey);
  it.each([
    ['an empty file', '', 'policy has no quorum line'],
    ['no quorum', logLine, 'policy has no quorum line'],
    ['a file that was cut off', full.slice(0, -1), 'policy does not end with a newline'],
    ['two quorums', `${full}quorum none\n`, 'policy line 11 is a second quorum line'],
    ['an unknown keyword', 'logs\n', 'policy line 1 is none of'],
    ['a keyword in capitals', `LOG ${v(log)}\n`, 'policy line 1 is none of'],
    ['a comment behind', 'quorum none # none\n', 'policy line 1 is not: quorum'],
    ['a carriage return', 'quorum none\r\n', 'policy line 1 has a control character'],
    ['a NUL in a comment', '# \0\nquorum none\n', 'policy line 1 has a control character'],
    ['a DEL', '# \u007f\nquorum none\n', 'policy line 1 has a control character'],
    ['a lone surrogate', '# \ud800\nquorum none\n', 'policy is not UTF-8'],
    ['no key', 'log\n', 'policy line 1 is not: log'],
    ['too many items of a log', `log ${v(log)} u v\n`, 'policy line 1 is not: log'],
    ['no key of a witness', 'witness W\n', 'policy line 1 is not: witness'],
    ['too many items of a witness', `witness W ${v(x1)} u v\n`, 'policy line 1 is not: witness'],
    ['a bad key', `\nlog ${v(log)}a\n`, 'policy line 2 vkey'],
    ['a log with a key of type 4', `log ${v(x1)}\n`, 'policy line 1 needs a key of type 1'],
    ['a witness with a key of type 1', `witness W ${v(log)}\n`, 'policy line 1 needs a key of type 4'],
    ['a log twice', logLine + logLine, 'policy line 2 has a key that is listed already'],
    [
      'a log twice under two names',
      `${logLine}log ${v(signer('b', 1, 'example.com/log'))}\n`,
      'policy line 2 has a key that is listed already',
    ],
    [
      'a witness twice under two names',
      `witness W ${v(x1)}\nwitness V ${formatVkey(id)}\n`,
      'policy line 2 has a key that is listed already',
    ],
    ['a name twice', `witness W ${v(x1)}\nwitness W ${v(x2)}\n`, 'policy line 2 defines a name again'],
    ['a group with the name of a witness', `witness W ${v(x1)}\ngroup W any W\n`, 'policy line 2 defines a name again'],
    ['a witness called none', `witness none ${v(x1)}\n`, 'policy line 1 defines the name none'],
    ['a group called none', `witness W ${v(x1)}\ngroup none any W\n`, 'policy line 2 defines the name none'],
    ['a group without members', `witness W ${v(x1)}\ngroup G any\n`, 'policy line 2 is not: group'],
    ['the member none', `witness W ${v(x1)}\ngroup G any none\n`, 'policy line 2 has a member that is not defined above'],
    ['a member that comes later', `group G any W\nwitness W ${v(x1)}\n`, 'policy line 1 has a member that is not defined above'],
    ['a group in itself', `witness W ${v(x1)}\ngroup G any G W\n`, 'policy line 2 has a member that is not defined above'],
    ['a member twice', `witness W ${v(x1)}\ngroup G any W W\n`, 'policy line 2 has a member that is one already'],
    ['a member of two groups', `witness W ${v(x1)}\ngroup G any W\ngroup H any W\n`, 'policy line 3 has a member that is one already'],
    ['a threshold of 0', `witness W ${v(x1)}\ngroup G 0 W\n`, 'policy line 2 needs all, any or 1 to 1'],
    ['a threshold above', `witness W ${v(x1)}\ngroup G 2 W\n`, 'policy line 2 needs all, any or 1 to 1'],
    ['a threshold with a zero in front', `witness W ${v(x1)}\ngroup G 01 W\n`, 'policy line 2 needs all'],
    ['a threshold of another form', `witness W ${v(x1)}\ngroup G 1e0 W\n`, 'policy line 2 needs all'],
    ['no threshold', `witness W ${v(x1)}\nwitness V ${v(x2)}\ngroup G W V\n`, 'policy line 3 needs all'],
    ['a quorum that comes later', `quorum W\nwitness W ${v(x1)}\n`, 'policy line 1 names nothing that is defined above'],
    ['a quorum of nothing', 'quorum\n', 'policy line 1 is not: quorum'],
    ['a huge file', '#'.repeat(300_000) + '\nquorum none\n', 'policy has more than'],
  ])('refuses %s', (_, text, message) => expect(faultOf(text)).toContain(message));

  it('ATTACK a second key with the name and id of another, found by trial', () => {
    const [first, second] = [signer('w', 4, 'twin 12574'), signer('w', 4, 'twin 91822')];
    expect([first.key.id, first.key.publicKey.equals(second.key.publicKey)]).toEqual([second.key.id, false]);
    expect(faultOf(`witness A ${v(first)}\nquorum A\n`)).toBe('accepted');
    expect(faultOf(`witness A ${v(first)}\nwitness B ${v(second)}\nquorum A\n`)).toBe(
      'policy line 2 has a key with the name and id of another',
    );
    // Where only one of the two is known, the other's signature is a bad signature of it, not a signature of an unknown key.
    const text = checkpointText({ origin: 'example.com/log', size: 7n, root: sha256('root') });
    const note = formatNote({ text, signatures: [signNote(text, log), signCosignature(text, second, 1n)] });
    expect(verifyCheckpoint(note, parsePolicy(`${logLine}witness A ${v(first)}\nquorum none\n`))).toEqual({ invalid: 'cosignature A' });
  });

  it('keeps names that are not UTF-8 apart', () => {
    const line = (name: Buffer, key: NoteSigner): Buffer => Buffer.concat([Buffer.from('witness '), name, Buffer.from(` ${v(key)}\n`)]);
    // Latin-1, UTF-8 of the same letter, and an octet that is no UTF-8 at all.
    const names = [Buffer.of(0xe9), Buffer.from('é'), Buffer.of(0xc3, 0xa9, 0xff)];
    const file = Buffer.concat([
      ...names.map((name, n) => line(name, [x1, x2, x3][n] ?? x1)),
      Buffer.from('group G 2 '),
      names[0]!,
      Buffer.from(' é\nquorum G\n'),
    ]);
    const policy = parsePolicy(file);
    expect(policy.witnesses.map(({ name }) => name)).toEqual(['\udce9', 'é', '\udcc3\udca9\udcff']);
    expect(policy.quorumMet(new Set(['é']))).toBe(false);
    expect(policy.quorumMet(new Set(['é', '\udce9']))).toBe(true);
    // A Kelvin sign is not a K.
    expect(faultOf(Buffer.concat([line(Buffer.from('K'), x1), Buffer.from('quorum \u212a\n')]))).toContain('names nothing');
  });

  it('has room for at least 32 of each, and a bound', () => {
    const many = (count: number): string => {
      const keys = Array.from({ length: count }, (_, n) => n);
      return [
        ...keys.map((n) => `log ${v(signer('l', 1, `l${n}`))}`),
        ...keys.map((n) => `witness w${n} ${v(signer('w', 4, `w${n}`))}`),
        ...keys.map((n) => (n === 0 ? 'group g0 all w0' : `group g${n} all g${n - 1} w${n}`)),
        `quorum g${count - 1}\n`,
      ].join('\n');
    };
    const policy = parsePolicy(many(256));
    const names = policy.witnesses.map(({ name }) => name);
    expect([policy.logs.length, policy.quorumMet(new Set(names)), policy.quorumMet(new Set(names.slice(1)))]).toEqual([256, true, false]);
    expect(faultOf(many(257))).toBe('policy line 257 is more than 256 of its kind');
    const groups = Array.from({ length: 257 }, (_, n) => (n === 0 ? 'group g0 all W' : `group g${n} all g${n - 1}`)).join('\n');
    expect(faultOf(`witness W ${v(x1)}\n${groups}\nquorum W\n`)).toBe('policy line 258 is more than 256 groups');
  });

  it('never fails in another way, whatever the octets are', () => {
    const pieces = fc.constantFrom(
      'log ',
      'witness ',
      'group ',
      'quorum ',
      'none',
      'any ',
      'all ',
      '1 ',
      'W ',
      '\n',
      '\t',
      v(log),
      v(x1),
      '\u00ff',
      '#',
    );
    fc.assert(
      fc.property(fc.array(pieces, { maxLength: 15 }), fc.uint8Array({ maxLength: 20 }), (parts, octets) => {
        for (const any of [parts.join(''), octets, Buffer.concat([Buffer.from(parts.join('')), octets])]) {
          expect(faultOf(any)).toMatch(/^accepted$|^policy( line \d+)? /);
        }
      }),
      { numRuns: 1000 },
    );
  });
});
