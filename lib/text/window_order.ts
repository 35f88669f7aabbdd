/**
 * The order in which an epoch goes through windows that are read from files: shuffled so that
 * neighbours in the order lie near each other on the disk.
 *
 * Chunks of 2^16 tokens of consecutive windows are permuted by seed and epoch. Of each 512 of them
 * (64 MB of ids) in their new order the windows are permuted again, by seed, epoch and the number
 * of this group. A reader that caches a group reads a block of a file once for every group that has
 * windows in it: once an epoch, or twice where one chunk ends in the block and another begins. What
 * fits one group is permuted as a whole.
 */

import { createRandom, type Random } from "../random.ts";
import type { StoredWindows } from "./windows.ts";

const CHUNK_TOKENS = 1 << 16;
const GROUP_CHUNKS = 512;

/** The numbers of windows, in the order of an epoch; a pure function of seed and epoch. */
export class StoredOrder {
  readonly #count: number;
  readonly #chunkWindows: number;
  readonly #random: Random;
  readonly #chunks: Int32Array;
  /** Where groups begin in the order. */
  readonly #starts: number[] = [0];
  #group = -1;
  #rows: Int32Array = new Int32Array(0);

  constructor(
    { count, contextLength }: Pick<StoredWindows, "count" | "contextLength">,
    { seed, epoch }: { readonly seed: number; readonly epoch: number },
  ) {
    this.#count = count;
    this.#chunkWindows = Math.max(1, Math.floor(CHUNK_TOKENS / contextLength));
    this.#random = createRandom(seed).stream(`chunks of epoch ${epoch}`);
    this.#chunks = this.#random.permutation(Math.ceil(count / this.#chunkWindows));
    for (let chunk = 0; chunk < this.#chunks.length; chunk += GROUP_CHUNKS) {
      const windows = this.#chunksOf(this.#starts.length - 1)
        .reduce((sum, number) => sum + this.#windowsOf(number), 0);
      this.#starts.push(this.#starts.at(-1)! + windows);
    }
  }

  /** The windows at the places `start` … `start + count − 1` of the order. */
  rows(start: number, count: number): Int32Array {
    return Int32Array.from({ length: count }, (_, i) => this.#rowAt(start + i));
  }

  #rowAt(place: number): number {
    let group = this.#group;
    if (!(this.#starts[group]! <= place && place < this.#starts[group + 1]!)) {
      group = this.#starts.findLastIndex((start) => start <= place);
      this.#rows = this.#rowsOf(group);
      this.#group = group;
    }
    return this.#rows[place - this.#starts[group]!]!;
  }

  #rowsOf(group: number): Int32Array {
    const inOrder: number[] = [];
    for (const chunk of this.#chunksOf(group)) {
      for (let i = 0; i < this.#windowsOf(chunk); i++) inOrder.push(chunk * this.#chunkWindows + i);
    }
    const order = this.#random.stream(`group ${group}`).permutation(inOrder.length);
    return order.map((place) => inOrder[place]!);
  }

  #chunksOf(group: number): Int32Array {
    return this.#chunks.subarray(group * GROUP_CHUNKS, (group + 1) * GROUP_CHUNKS);
  }

  /** The last chunk may have fewer windows. */
  #windowsOf(chunk: number): number {
    return Math.min(this.#chunkWindows, this.#count - chunk * this.#chunkWindows);
  }
}
