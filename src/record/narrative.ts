/** Elements that FHIR R4 allows in a narrative (rule txt-1: HTML 4.0 chapters 7 to 11 and 15, links, images). */
const ELEMENTS = new Set(
  (
    'a abbr acronym address area b bdo big blockquote br caption center cite code col colgroup dd del dfn div dl dt em font h1 h2 h3 h4 h5 h6 hr i img ins kbd li map ' +
    'ol p pre q s samp small span strike strong sub sup table tbody td tfoot th thead tr tt u ul var'
  ).split(' '),
);
const URL_ATTRIBUTES = new Set(['href', 'src', 'cite', 'longdesc', 'usemap']);
const REFUSED_ATTRIBUTES = /^(?:on.*|action|background|data|formaction|ping|poster|srcdoc|srcset|xlink:.*)$/i;
const SAFE_SCHEMES = /^(?:https?|mailto|tel|cid|urn):/i;
const SAFE_IMAGE = /^data:image\/(?:png|gif|jpe?g|webp|bmp);base64,/i;
const UNSAFE_STYLE = /expression\s*\(|javascript|vbscript|behaviou?r|-moz-binding|@import|\\|url\s*\(/i;

/** One tag with quoted attributes, or a comment that no browser can end early. Whatever else starts with `<` is refused. */
const TAG = /<(?:\/([a-z][a-z0-9]*)\s*|([a-z][a-z0-9]*)((?:\s+[A-Za-z_][\w:.-]*\s*=\s*(?:"[^"<]*"|'[^'<]*'))*)\s*\/?|!--[^<>]*--)>/y;
const ATTRIBUTE = /\s+([A-Za-z_][\w:.-]*)\s*=\s*(?:"([^"]*)"|'([^']*)')/gy;

/**
 * What is wrong with a narrative's XHTML (`text.div`), or undefined: it may be shown in a browser, so nothing in it may run.
 * An allow list of elements over a strict grammar: a browser repairs bad markup, and what it repairs into is the attack.
 */
export function narrativeFault(div: string): string | undefined {
  if (!/^\s*<div[\s>/]/.test(div)) return 'A narrative must be one XHTML div element.';
  for (let at = div.indexOf('<'); at >= 0; at = div.indexOf('<', TAG.lastIndex)) {
    TAG.lastIndex = at;
    const tag = TAG.exec(div);
    if (!tag) return 'A narrative must be well-formed XHTML: lower-case elements, quoted attributes, no declarations.';
    const element = tag[1] ?? tag[2];
    if (element !== undefined && !ELEMENTS.has(element))
      return 'A narrative may contain plain text elements, tables, links and images only.';
    for (const [, name = '', double, single] of (tag[3] ?? '').matchAll(ATTRIBUTE)) {
      if (!isSafeAttribute(name.toLowerCase(), decodeEntities(double ?? single ?? '')))
        return 'A narrative must not contain active content.';
    }
  }
  return undefined;
}

function isSafeAttribute(name: string, value: string): boolean {
  if (REFUSED_ATTRIBUTES.test(name)) return false;
  if (name === 'style') return !UNSAFE_STYLE.test(value);
  if (!URL_ATTRIBUTES.has(name)) return true;
  // Browsers ignore white space and control characters inside a scheme.
  const url = Array.from(value)
    .filter((character) => character > ' ')
    .join('');
  return !/^[^/?#]*:/.test(url) || SAFE_SCHEMES.test(url) || SAFE_IMAGE.test(url);
}

const NAMED: Record<string, string> = {
  amp: '&',
  lt: '<',
  gt: '>',
  quot: '"',
  apos: "'",
  colon: ':',
  tab: '\t',
  newline: '\n',
  lpar: '(',
  sol: '/',
};

function decodeEntities(value: string): string {
  return value.replace(/&(?:#x([0-9a-f]{1,6})|#([0-9]{1,7})|([a-z]{2,8}));?/gi, (all, hex?: string, decimal?: string, name?: string) => {
    if (name !== undefined) return NAMED[name.toLowerCase()] ?? all;
    const point = hex !== undefined ? parseInt(hex, 16) : parseInt(decimal ?? '0', 10);
    return point <= 0x10ffff ? String.fromCodePoint(point) : all;
  });
}
