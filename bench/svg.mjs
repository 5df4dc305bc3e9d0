/** A line chart as SVG text: pure. Both axes begin at 0. */

const [WIDTH, HEIGHT, LEFT, RIGHT, TOP, BOTTOM] = [760, 360, 70, 24, 44, 52];
const COLOURS = ['#1b6ca8', '#b5541c', '#4a7c3a'];

const escape = (text) => String(text).replace(/[&<>"]/g, (sign) => `&#${sign.charCodeAt(0)};`);
const short = (value) => (value >= 1e6 ? `${value / 1e6} M` : value >= 1000 ? `${value / 1000} k` : String(value));

/** Round steps up to the greatest value: 1, 2 or 5 times a power of ten, at most six. */
export function ticksOf(greatest) {
  if (!(greatest > 0)) return [0];
  const power = 10 ** Math.floor(Math.log10(greatest / 5));
  const step = [1, 2, 5, 10].map((times) => times * power).find((size) => greatest / size <= 5.0001);
  return Array.from({ length: Math.ceil(greatest / step) + 1 }, (_, index) => Number((index * step).toPrecision(12)));
}

/**
 * @param {{ title: string, x: string, y: string, series: { name: string, points: readonly (readonly [number, number])[] }[] }} chart
 * @returns {string}
 */
export function lineChart({ title, x, y, series }) {
  const all = series.flatMap(({ points }) => points);
  const [across, up] = [0, 1].map((axis) => ticksOf(Math.max(0, ...all.map((point) => point[axis]))));
  const place = (value, ticks, from, to) => Number((from + ((to - from) * value) / (ticks.at(-1) || 1)).toFixed(1));
  const atX = (value) => place(value, across, LEFT, WIDTH - RIGHT);
  const atY = (value) => place(value, up, HEIGHT - BOTTOM, TOP);
  const text = (left, top, words, more = '') => `<text x="${left}" y="${top}" ${more}>${escape(words)}</text>`;
  const lines = [
    `<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 ${WIDTH} ${HEIGHT}" font-family="sans-serif" font-size="12" role="img">`,
    `<title>${escape(title)}</title>`,
    `<rect width="${WIDTH}" height="${HEIGHT}" fill="#fff"/>`,
    text(LEFT, 20, title, 'font-size="14" font-weight="bold"'),
    ...up.flatMap((value) => [
      `<path d="M${LEFT} ${atY(value)}H${WIDTH - RIGHT}" stroke="#ddd"/>`,
      text(LEFT - 8, atY(value) + 4, short(value), 'text-anchor="end"'),
    ]),
    ...across.map((value) => text(atX(value), HEIGHT - BOTTOM + 18, short(value), 'text-anchor="middle"')),
    text((LEFT + WIDTH - RIGHT) / 2, HEIGHT - 12, x, 'text-anchor="middle"'),
    text(14, TOP - 8, y),
    ...series.flatMap(({ name, points }, index) => [
      `<polyline fill="none" stroke="${COLOURS[index % COLOURS.length]}" stroke-width="1.5" points="${points.map((point) => `${atX(point[0])},${atY(point[1])}`).join(' ')}"/>`,
      text(WIDTH - RIGHT - 150 * (series.length - index), 36, name, `fill="${COLOURS[index % COLOURS.length]}"`),
    ]),
    '</svg>',
  ];
  return `${lines.join('\n')}\n`;
}
