let words: Promise<ReadonlySet<string>> | undefined;

/**
 * About 49,000 passwords from breaches, in lower case (SEC-28). They are read when the first password is chosen, not at the start, and cost 20 MB of
 * memory from then on.
 */
export function commonPasswords(): Promise<ReadonlySet<string>> {
  return (words ??= import('@zxcvbn-ts/language-common').then(({ dictionary }) => new Set(dictionary['passwords-common'])));
}
