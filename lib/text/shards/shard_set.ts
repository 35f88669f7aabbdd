/** A finished set of shards as one long text: tokens and documents of a side by their numbers. */

import { join } from "node:path";
import { littleEndian } from "../../cache_file.ts";
import { UserError } from "../../errors.ts";
import { BlockCache, openShard, readBody } from "./files.ts";
import {
  damaged,
  idBytesOf,
  type IndexColumn,
  type ShardOutline,
  type Side,
  type SideCounts,
  sideOffsets,
  SIDES,
} from "./format.ts";
import { MANIFEST, readManifest, type ShardManifest } from "./manifest.ts";

/**
 * More than a group of windows lies in (window_order.ts), so that no block of one is read twice: 512
 * chunks of 2^16 ids, each as long as a block of ids of two bytes. Behind the first shard they begin
 * within blocks and lie in two, 128 MiB; those at the end of a shard in another one.
 */
const CACHE_BYTES_PER_ID_BYTE = 80 * 2 ** 20;

type OpenShard = Readonly<{ path: string; outline: ShardOutline }>;

/** Where the shards of a side begin, in documents and in tokens, and behind the last one. */
type Starts = Readonly<Record<"documents" | "tokens", Float64Array>>;

/** Tokens and documents by number. Reads what it is asked for, through a bounded cache. */
export class ShardSet {
  readonly folder: string;
  readonly manifest: ShardManifest;
  readonly #shards: readonly OpenShard[];
  readonly #starts: Readonly<Record<Side, Starts>>;
  readonly #cache: BlockCache;

  private constructor(
    folder: string,
    manifest: ShardManifest,
    shards: readonly OpenShard[],
    cacheBytes: number,
  ) {
    this.folder = folder;
    this.manifest = manifest;
    this.#shards = shards;
    const starts = (side: Side, unit: "documents" | "tokens") => {
      const from = new Float64Array(shards.length + 1);
      shards.forEach(({ outline: { head } }, i) => from[i + 1] = from[i]! + head[side][unit]);
      return from;
    };
    const [train, heldOut] = SIDES.map((side) => ({
      documents: starts(side, "documents"),
      tokens: starts(side, "tokens"),
    }));
    this.#starts = { train: train!, heldOut: heldOut! };
    this.#cache = new BlockCache(cacheBytes);
  }

  /**
   * Opens a set by its folder. What it has is checked against the manifest, bodies as they are read.
   *
   * @throws UserError when there is no whole set, or a file is missing, damaged or another than the
   *   manifest says.
   */
  static async open(
    folder: string,
    { cacheBytes }: { cacheBytes?: number } = {},
  ): Promise<ShardSet> {
    const manifest = await readManifest(folder);
    if (manifest === null) {
      throw new UserError(
        `${
          join(folder, MANIFEST)
        }: expected the manifest of a finished set of shards, found none; ` +
          "run deno task data -- tokenize to its end",
      );
    }
    const shards = manifest.shards.map((said) => {
      const path = join(folder, said.file);
      const outline = openShard(path);
      const isSame = outline.hash === said.hash && outline.head.key === manifest.key &&
        SIDES.every((side) => sameCounts(outline.head[side], said[side]));
      if (!isSame) throw damaged(path, "found another than its manifest says");
      return { path, outline };
    });
    const groupBytes = CACHE_BYTES_PER_ID_BYTE * idBytesOf(manifest.tokenizer.vocabSize);
    return new ShardSet(folder, manifest, shards, cacheBytes ?? groupBytes);
  }

  /** Bytes held in memory now, at most what the cache was given and a block. */
  get cachedBytes(): number {
    return this.#cache.bytes;
  }

  /** How many blocks were read from files so far. */
  get blocksRead(): number {
    return this.#cache.blocksRead;
  }

  /** Ids of the side's tokens from `start` on, written to `target`. */
  readIds(side: Side, start: number, target: Int32Array): void {
    const starts = this.#starts[side].tokens;
    for (let filled = 0; filled < target.length;) {
      const at = start + filled;
      const shard = lastAtMost(starts, at);
      const taken = Math.min(starts[shard + 1]! - at, target.length - filled);
      const ids = this.#idsOf(shard, side, at - starts[shard]!, taken);
      target.set(ids, filled);
      filled += taken;
    }
  }

  /** The tokens of a document of the side: from the first number to before the second. */
  tokenRange(side: Side, document: number): readonly [start: number, end: number] {
    const { documents, tokens } = this.#starts[side];
    const shard = lastAtMost(documents, document);
    const local = document - documents[shard]!;
    const [from, to] = local === 0
      ? [0, ...this.#index(shard, side, "ends", 0, 1)]
      : this.#index(shard, side, "ends", local - 1, 2);
    return [tokens[shard]! + from!, tokens[shard]! + to!];
  }

  /** The ids of one whole document of the side. */
  documentIds(side: Side, document: number): Int32Array {
    const [start, end] = this.tokenRange(side, document);
    const ids = new Int32Array(end - start);
    this.readIds(side, start, ids);
    return ids;
  }

  /** UTF-8 bytes of a document of the side. */
  documentBytes(side: Side, document: number): number {
    const { documents } = this.#starts[side];
    const shard = lastAtMost(documents, document);
    return this.#index(shard, side, "byteCounts", document - documents[shard]!, 1)[0]!;
  }

  #idsOf(shard: number, side: Side, from: number, count: number): Uint16Array | Uint32Array {
    const { path, outline } = this.#shards[shard]!;
    const { idBytes } = outline.head;
    const ids = idBytes === 2 ? new Uint16Array(count) : new Uint32Array(count);
    const start = sideOffsets(outline.head, side).ids + from * idBytes;
    readBody(this.#cache, path, outline, start, littleEndian(ids));
    return ids;
  }

  #index(
    shard: number,
    side: Side,
    column: IndexColumn,
    from: number,
    count: number,
  ): Uint32Array {
    const { path, outline } = this.#shards[shard]!;
    const numbers = new Uint32Array(count);
    const start = sideOffsets(outline.head, side)[column] + 4 * from;
    readBody(this.#cache, path, outline, start, littleEndian(numbers));
    return numbers;
  }
}

function sameCounts(a: SideCounts, b: SideCounts): boolean {
  return a.documents === b.documents && a.tokens === b.tokens && a.bytes === b.bytes;
}

/**
 * The last shard that begins at `number` or before: the one that has it, since those that begin at
 * the same place before it are empty.
 *
 * @throws RangeError for a number outside of all shards.
 */
function lastAtMost(starts: Float64Array, number: number): number {
  if (!(number >= 0 && number < starts.at(-1)!)) {
    throw new RangeError(`expected a number below ${starts.at(-1)}, found ${number}`);
  }
  let low = 0, high = starts.length - 1; // starts[low] ≤ number < starts[high]
  while (high - low > 1) {
    const middle = (low + high) >> 1;
    if (starts[middle]! <= number) low = middle;
    else high = middle;
  }
  return low;
}
