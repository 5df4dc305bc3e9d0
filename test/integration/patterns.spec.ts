import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { checkSync } from 'recheck';
import ts from 'typescript';

const SRC = join(__dirname, '../../src');
const files = (readdirSync(SRC, { recursive: true }) as string[]).filter((file) => file.endsWith('.ts') && !file.endsWith('.spec.ts'));

/** A pattern that is put together at run time cannot be checked here, so there must be none. */
const DYNAMIC = '(made at run time)';

interface Pattern {
  readonly place: string;
  readonly source: string;
  readonly flags: string;
}

/** Every regular expression of a file, as the compiler sees it: literals, and texts given to RegExp or to @Matches. */
function patternsOf(file: string): Pattern[] {
  const source = ts.createSourceFile(file, readFileSync(join(SRC, file), 'utf8'), ts.ScriptTarget.ES2023, true);
  const found: Pattern[] = [];
  const visit = (node: ts.Node): void => {
    const place = `${file}:${source.getLineAndCharacterOfPosition(node.getStart()).line + 1}`;
    if (ts.isRegularExpressionLiteral(node)) {
      const [, text = '', flags = ''] = /^\/(.*)\/([a-z]*)$/s.exec(node.text) ?? [];
      found.push({ place, source: text, flags });
    }
    if ((ts.isNewExpression(node) || ts.isCallExpression(node)) && node.expression.getText() === 'RegExp') {
      const [text] = node.arguments ?? [];
      found.push({ place, source: text && ts.isStringLiteralLike(text) ? text.text : DYNAMIC, flags: '' });
    }
    ts.forEachChild(node, visit);
  };
  visit(source);
  return found;
}
const patterns = files.flatMap(patternsOf);

test('SEC-73 every regular expression in src takes linear time', () => {
  expect(patterns.length).toBeGreaterThan(50);
  expect(patterns.filter(({ source }) => source === DYNAMIC)).toEqual([]);
  const wrong = patterns
    .map(({ place, source, flags }) => ({ place, source, result: checkSync(source, flags, { timeout: 10_000 }) }))
    .filter(({ result }) => result.status !== 'safe')
    .map(({ place, source, result }) => `${place} /${source}/ ${result.status}`);
  expect(wrong).toEqual([]);
}, 120_000);
