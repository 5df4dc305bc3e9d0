/** Which leaves of some logs have been met while chains were walked: one bit a leaf. Threads share it. */
export class LeafMarks {
  /** @param bits by log id; made by {@link LeafMarks.forSizes}, and handed from thread to thread */
  constructor(readonly bits: ReadonlyMap<number, Int32Array>) {}

  /** Empty marks. @param sizes leaves by log id; leaves beyond are ignored for ever */
  static forSizes(sizes: Iterable<readonly [number, number]>): LeafMarks {
    const made = [...sizes].map(([logId, size]) => [logId, new Int32Array(new SharedArrayBuffer(4 * Math.ceil(size / 32)))] as const);
    return new LeafMarks(new Map(made));
  }

  mark(logId: number, leafIndex: number): void {
    const words = this.bits.get(logId);
    const word = Math.floor(leafIndex / 32);
    if (words && leafIndex >= 0 && word < words.length) Atomics.or(words, word, 1 << (leafIndex % 32));
  }

  has(logId: number, leafIndex: number): boolean {
    const words = this.bits.get(logId);
    const word = Math.floor(leafIndex / 32);
    return words !== undefined && word < words.length && (Atomics.load(words, word) & (1 << (leafIndex % 32))) !== 0;
  }
}
