import { ChainVerifierOptions, StoredBlock, createChainVerifier } from '../../src/ledger/core/chain';
import { PublicJwk } from '../../src/ledger/core/jwk';
import { ChainHead, ChainReport } from '../../src/ledger/core/verdict';
import { BlockPlan, ChainMaker, testAuthor } from './chain-maker';

type Blocks = readonly StoredBlock[];

/** An author whose key nobody registered. */
export const stranger = testAuthor('stranger');

/** Verifies the blocks of a chain, by default all of them against their own head. */
export function walk(
  chain: ChainMaker,
  blocks: Blocks = chain.blocks,
  head: ChainHead | null = chain.head,
  more: Partial<ChainVerifierOptions> = {},
): ChainReport {
  const { ledgerId, chainId, author } = chain;
  const keyOf = (kid: string): PublicJwk | undefined => (kid === author.kid ? author.jwk : undefined);
  const verifier = createChainVerifier({ ledgerId, chainId, keyOf, ...more });
  for (const block of blocks) verifier.push(block);
  return verifier.finish(head);
}
/** `CODE field@height` of every finding. */
export const said = (report: ChainReport): string[] => report.findings.map(({ code, field, height }) => `${code} ${field}@${height}`);
/** The blocks with some columns of one row overwritten, as somebody with write access to the database would. */
export const replaced = (blocks: Blocks, height: number, change: Partial<StoredBlock>): StoredBlock[] =>
  blocks.map((block) => (block.height === height ? { ...block, ...change } : block));
/** A copy with one bit of one byte changed. */
export const flipped = (bytes: Buffer, at: number): Buffer => {
  const copy = Buffer.from(bytes);
  copy[at]! ^= 0x01;
  return copy;
};
/** An opened chain with two records and one block more, at height 3. */
export const sealedWith = (plan: BlockPlan): ChainMaker => {
  const chain = ChainMaker.withRecords(2);
  chain.add(plan);
  return chain;
};
