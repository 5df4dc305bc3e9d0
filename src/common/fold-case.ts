/**
 * One text for all ways to write it in capitals and small letters. JavaScript has no Unicode case folding; lower, upper and lower again comes closest:
 * 'ẞ', 'ß' and 'SS', 'ς' and 'σ' become equal as in full folding. It merges a little more than Unicode's C+F folding does (dotless 'ı' and 'i'), the
 * safe direction for names that must be unique. What it gives may need normalising again: folding can decompose.
 */
export function foldCase(value: string): string {
  return value.toLowerCase().toUpperCase().toLowerCase();
}
