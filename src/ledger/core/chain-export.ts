import { StoredBlock } from './block';
import { b64u, b64uDecode, HASH_BYTES, ID_BYTES } from './bytes';
import { CarriedKey, keyDirectory, readBytes, readKey, readOrigin, readUuid } from './bundle';
import { createChainVerifier } from './chain';
import { Checkpoint, MAX_PROOF_LINES } from './checkpoint';
import { Field, parseExactJson } from './exact-json';
import { blockHash, ledgerId } from './header';
import { checkCheckpoint, checkTrust, isLeaf, ProofOptions, trustChecks } from './proof-checks';
import { ProofReport, ReportMaker } from './proof-report';
import { ChainHead } from './verdict';
import { b64 } from './vkey';

/** One block of an exported chain. */
export interface ExportedBlock {
  readonly height: number;
  /** 274 bytes. */
  readonly header: Buffer;
  readonly recordId: string;
  readonly version: number;
  /** Compact JWS; null for the block that opens the chain. */
  readonly attestation: string | null;
  /** nonce, ciphertext and tag; null when the block has no content, or it was erased. */
  readonly ciphertext: Buffer | null;
  /** Opens the content: 32 bytes. Absent when whoever asked may not read it. */
  readonly recordKey?: Buffer;
  readonly leafIndex: number;
  /** RFC 6962 audit path under the checkpoint of the file. */
  readonly proof: readonly Buffer[];
}

/** One patient's whole chain, with what proves each block. */
export interface ChainExport {
  readonly origin: string;
  /** Base64url of 16 bytes. */
  readonly chainId: string;
  /** Signed note of the log. */
  readonly checkpoint: string;
  readonly blocks: readonly ExportedBlock[];
  /** Every author's key that a block names. */
  readonly keys: readonly CarriedKey[];
}

const SCHEMA = 'bjwt.chain/1';
const NAMES = ['schema', 'origin', 'chainId', 'checkpoint', 'blocks', 'keys'] as const;
const BLOCK_NAMES = ['height', 'header', 'recordId', 'version', 'attestation', 'ciphertext', 'recordKey', 'leafIndex', 'proof'] as const;
/** Largest accepted file, in bytes. */
export const MAX_CHAIN_BYTES = 256 * 1024 * 1024;
const MAX_BLOCKS = 1_000_000;

/** Prints an exported chain as JSON, in parts: what is between the blocks, and each block. */
export function* formatChain({ origin, chainId, checkpoint, blocks, keys }: ChainExport): Generator<string> {
  yield `${JSON.stringify({ schema: SCHEMA, origin, chainId, checkpoint }).slice(0, -1)},"blocks":[`;
  let comma = '';
  for (const block of blocks) {
    yield comma + formatBlock(block);
    comma = ',';
  }
  yield `],"keys":${JSON.stringify(keys.map(({ kid, x, custody }) => ({ kid, x, custody })))}}`;
}

function formatBlock(block: ExportedBlock): string {
  const { height, header, recordId, version, attestation, ciphertext, recordKey, leafIndex, proof } = block;
  return JSON.stringify({
    height,
    header: b64(header),
    recordId,
    version,
    attestation,
    ciphertext: ciphertext && b64(ciphertext),
    ...(recordKey === undefined ? {} : { recordKey: b64(recordKey) }),
    leafIndex,
    proof: proof.map(b64),
  });
}

/** Reads an exported chain, strictly; nothing in it is verified. @throws FormatError `chain` or the name of a member, e.g. `blocks[3].header` */
export function parseChain(bytes: Uint8Array): ChainExport {
  const fields = new Field(parseExactJson(bytes, 'chain', MAX_CHAIN_BYTES), '').object(NAMES);
  if (fields.schema.value !== SCHEMA) throw fields.schema.refuse(`is not ${SCHEMA}`);
  const chainId = fields.chainId.text();
  b64uDecode(chainId, 'chainId', ID_BYTES);
  return {
    origin: readOrigin(fields.origin),
    chainId,
    checkpoint: fields.checkpoint.text(),
    blocks: fields.blocks.items(MAX_BLOCKS).map(readBlock),
    keys: fields.keys.items(MAX_BLOCKS).map(readKey),
  };
}

function readBlock(field: Field): ExportedBlock {
  const fields = field.object(BLOCK_NAMES, ['recordKey']);
  const { recordKey } = fields;
  return {
    height: fields.height.count(Number.MAX_SAFE_INTEGER),
    header: readBytes(fields.header),
    recordId: readUuid(fields.recordId),
    version: fields.version.count(0xffff_ffff),
    attestation: fields.attestation.value === null ? null : fields.attestation.text(),
    ciphertext: fields.ciphertext.value === null ? null : readBytes(fields.ciphertext),
    ...(recordKey.absent ? {} : { recordKey: readBytes(recordKey, HASH_BYTES) }),
    leafIndex: fields.leafIndex.count(Number.MAX_SAFE_INTEGER),
    proof: fields.proof.items(MAX_PROOF_LINES).map((item) => readBytes(item, HASH_BYTES)),
  };
}

/**
 * Verifies an exported chain: every block follows the one below, fits its content and its author, and is a leaf of the log, in the order of
 * the heights. Never throws for what is in the file. Without a head from elsewhere, a tail that was left out cannot be seen.
 */
export function verifyChainExport(bytes: Uint8Array, options: ProofOptions): ProofReport {
  const heads = options.heads ?? [];
  const planned = ['form', 'chain', 'checkpoint', 'inclusion', ...(heads.length > 0 ? (['head'] as const) : [])] as const;
  const maker = new ReportMaker('chain', [...planned, ...trustChecks(options)]);
  const chain = maker.check('form', () => parseChain(bytes));
  if (chain === undefined) return maker.report();
  const { origin, chainId, blocks } = chain;
  Object.assign(maker.facts, { origin, chainId, blocks: blocks.length });
  checkChain(maker, chain, options);
  const checkpoint = checkCheckpoint(maker, chain.checkpoint, ledgerId(origin), options);
  if (checkpoint !== undefined) {
    checkLeaves(maker, blocks, checkpoint);
    checkTrust(maker, checkpoint, options);
  }
  if (heads.length > 0) checkHeads(maker, chain, heads);
  return maker.report();
}

function checkChain(maker: ReportMaker, chain: ChainExport, options: ProofOptions): void {
  const { origin, chainId, blocks, keys } = chain;
  const last = blocks.at(-1);
  maker.check('chain', () => {
    const keyOf = keyDirectory(keys, options);
    const verifier = createChainVerifier({ ledgerId: ledgerId(origin), chainId: b64uDecode(chainId, 'chainId', ID_BYTES), keyOf });
    for (const block of blocks) verifier.push(storedBlock(block));
    const report = verifier.finish(null);
    for (const { code, field, height, recordId } of report.findings) {
      const finding = { code, field, height, ...(recordId === undefined ? {} : { recordId }) };
      if (report.verdict === 'TAMPERED') maker.find(finding);
      else maker.miss(finding);
    }
    const opened = blocks.filter(({ recordKey, ciphertext }) => recordKey !== undefined && ciphertext !== null).length;
    Object.assign(maker.facts, { opened, erased: report.erased.length });
  });
  if (last !== undefined) Object.assign(maker.facts, { height: last.height, blockHash: blockHash(last.header).toString('hex') });
}

function storedBlock(block: ExportedBlock): StoredBlock {
  const { height, header, recordId, version, attestation, ciphertext, recordKey } = block;
  const row = { height, blockHash: blockHash(header), header, recordId, version, attestation, ciphertext };
  return recordKey === undefined ? row : { ...row, recordKey };
}

function checkLeaves(maker: ReportMaker, blocks: readonly ExportedBlock[], checkpoint: Checkpoint): void {
  maker.check('inclusion', () => {
    let before = -1;
    for (const { header, height, recordId, leafIndex, proof } of blocks) {
      const place = { height, recordId };
      if (!isLeaf(header, BigInt(leafIndex), proof, checkpoint)) maker.find({ code: 'INCLUSION_INVALID', field: 'proof', ...place });
      if (leafIndex <= before) maker.find({ code: 'LEAF_MISMATCH', field: 'leafIndex', ...place });
      before = leafIndex;
    }
  });
}

/** Each head that the verifier knows of this chain must stand in it. One of another chain says nothing about this file, and that is an error too. */
function checkHeads(
  maker: ReportMaker,
  { chainId, blocks }: ChainExport,
  heads: readonly (ChainHead & { readonly chainId: string })[],
): void {
  maker.check('head', () => {
    for (const { chainId: ofChain, height, hash } of heads) {
      const block = ofChain === chainId ? blocks.find((item) => item.height === height) : undefined;
      if (ofChain !== chainId) maker.miss({ code: 'HEAD_MISMATCH', field: 'head.chainId', height });
      else if (block === undefined) maker.find({ code: 'HEAD_MISMATCH', field: 'head.height', height });
      else if (!blockHash(block.header).equals(hash)) maker.find({ code: 'HEAD_MISMATCH', field: 'head.hash', height });
    }
  });
}

const HEAD = /^bjwt-ehr:chain:([A-Za-z0-9_-]{22}):(0|[1-9][0-9]{0,15}):([0-9a-f]{64})$/;

/** Reads the head of a chain as prints carry it; undefined when the text is none. */
export function parseHead(text: string): (ChainHead & { readonly chainId: string }) | undefined {
  const [, chainId, height, hash] = HEAD.exec(text) ?? [];
  if (chainId === undefined || height === undefined || hash === undefined || !Number.isSafeInteger(Number(height))) return undefined;
  return { chainId: b64u(Buffer.from(chainId, 'base64url')), height: Number(height), hash: Buffer.from(hash, 'hex') };
}
