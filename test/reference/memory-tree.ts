import { CompactRange, leafHash, type NodeId, planConsistency, planInclusion, planRoot } from '../../src/ledger/core/tree';

/** A tree whose nodes are kept in memory as they become complete: what a log does with a database. It holds no more than the code under test says. */
export class MemoryTree {
  private readonly range = CompactRange.empty();
  private readonly nodes = new Map<string, Buffer>();

  static of(entries: readonly Uint8Array[]): MemoryTree {
    const tree = new MemoryTree();
    for (const entry of entries) tree.append(leafHash(entry));
    return tree;
  }

  get size(): bigint {
    return this.range.size;
  }

  append(leaf: Buffer): void {
    this.range.append(leaf, ({ level, index }, hash) => {
      if (this.nodes.has(`${level}/${index}`)) throw new Error(`node ${level}/${index} was told twice`);
      this.nodes.set(`${level}/${index}`, hash);
    });
  }

  /** Hash of a complete node. Bound, so that it can stand for another source of nodes. */
  readonly node = ({ level, index }: NodeId): Buffer => {
    const hash = this.nodes.get(`${level}/${index}`);
    if (!hash) throw new Error(`node ${level}/${index} is not complete`);
    return hash;
  };

  edgeRoot(): Buffer {
    return this.range.root();
  }

  root(size: bigint): Buffer {
    return rootFrom(this.node, size);
  }

  inclusion(index: bigint, size: bigint): Buffer[] {
    return inclusionFrom(this.node, index, size);
  }

  consistency(from: bigint, to: bigint): Buffer[] {
    return consistencyFrom(this.node, from, to);
  }
}

type Nodes = (node: NodeId) => Buffer;

export function rootFrom(nodes: Nodes, size: bigint): Buffer {
  const plan = planRoot(size);
  const [root, ...more] = plan.build(plan.nodes.map(nodes));
  if (!root || more.length > 0) throw new Error('a plan of a root gives one hash');
  return root;
}

export function inclusionFrom(nodes: Nodes, index: bigint, size: bigint): Buffer[] {
  const plan = planInclusion(index, size);
  return plan.build(plan.nodes.map(nodes));
}

export function consistencyFrom(nodes: Nodes, from: bigint, to: bigint): Buffer[] {
  const plan = planConsistency(from, to);
  return plan.build(plan.nodes.map(nodes));
}

/** The entries of a test: `count` different texts. */
export function testEntries(count: number, seed = 'entry'): Buffer[] {
  return Array.from({ length: count }, (_none, index) => Buffer.from(`${seed} ${index}`));
}
