/** The merges of a tokenizer, laid out for speed: encoding is made of look-ups of pairs. */

import { Heap } from "./_heap.ts";

/** Words up to this length, which nearly all are, are merged by looking at all their pairs. */
const SHORT_WORD = 32;
const NONE = 0x7fffffff;

interface Candidate {
  readonly rank: number;
  readonly place: number;
}

/** Pairs of ids with their ranks, a hash table of numbers. */
export class MergeTable {
  readonly #mask: number;
  /** Three numbers a slot: left, right, rank; left is −1 where there is none. */
  readonly #slots: Int32Array;
  /** Of every rank, the id that the pair becomes. */
  readonly #mergedIds: Int32Array;
  readonly #ids = new Int32Array(SHORT_WORD);
  readonly #ranks = new Int32Array(SHORT_WORD);

  /**
   * @param merges Ids (left, right) of every merge in order of rank, no pair twice.
   * @param mergedIds The id that each becomes.
   */
  constructor(merges: Int32Array, mergedIds: Int32Array) {
    let size = 16;
    while (size < 4 * mergedIds.length) size *= 2;
    this.#mask = size - 1;
    this.#slots = new Int32Array(3 * size).fill(-1);
    this.#mergedIds = mergedIds;
    for (let rank = 0; rank < mergedIds.length; rank++) {
      const left = merges[2 * rank]!, right = merges[2 * rank + 1]!;
      let slot = this.#home(left, right);
      while (this.#slots[3 * slot]! >= 0) slot = (slot + 1) & this.#mask;
      this.#slots.set([left, right, rank], 3 * slot);
    }
  }

  #home(left: number, right: number): number {
    const mixed = Math.imul(Math.imul(left, 0x9e3779b1) ^ right, 0x85ebca77);
    return (mixed ^ (mixed >>> 15)) & this.#mask;
  }

  /** The rank of a pair's merge; larger than any where there is none. */
  rankOf(left: number, right: number): number {
    const slots = this.#slots;
    for (let slot = this.#home(left, right);; slot = (slot + 1) & this.#mask) {
      const known = slots[3 * slot]!;
      if (known < 0) return NONE;
      if (known === left && slots[3 * slot + 1] === right) return slots[3 * slot + 2]!;
    }
  }

  /** The tokens of one word: repeatedly the merge of lowest rank, the leftmost of these. */
  encodeWord(bytes: Uint8Array, idOfByte: Int32Array): Int32Array {
    return bytes.length <= SHORT_WORD
      ? this.#encodeShort(bytes, idOfByte)
      : this.#encodeLong(bytes, idOfByte);
  }

  #encodeShort(bytes: Uint8Array, idOfByte: Int32Array): Int32Array {
    const ids = this.#ids, ranks = this.#ranks;
    let length = bytes.length;
    for (let i = 0; i < length; i++) ids[i] = idOfByte[bytes[i]!]!;
    for (let i = 0; i + 1 < length; i++) ranks[i] = this.rankOf(ids[i]!, ids[i + 1]!);
    for (;;) {
      let best = 0;
      for (let i = 1; i + 1 < length; i++) if (ranks[i]! < ranks[best]!) best = i;
      if (length < 2 || ranks[best] === NONE) return ids.slice(0, length);
      ids[best] = this.#mergedIds[ranks[best]!]!;
      length--;
      for (let i = best + 1; i < length; i++) {
        ids[i] = ids[i + 1]!;
        ranks[i] = ranks[i + 1]!;
      }
      if (best > 0) ranks[best - 1] = this.rankOf(ids[best - 1]!, ids[best]!);
      if (best + 1 < length) ranks[best] = this.rankOf(ids[best]!, ids[best + 1]!);
    }
  }

  #encodeLong(bytes: Uint8Array, idOfByte: Int32Array): Int32Array {
    const ids = Int32Array.from(bytes, (byte) => idOfByte[byte]!);
    const length = ids.length;
    // A linked list over the places of the word; an id of −1 marks a place merged into its left.
    const next = Int32Array.from(ids, (_, place) => place + 1);
    const previous = Int32Array.from(ids, (_, place) => place - 1);
    const candidates = new Heap<Candidate>((a, b) =>
      a.rank < b.rank || (a.rank === b.rank && a.place < b.place)
    );
    const rankAt = (place: number) =>
      ids[place] === -1 || next[place]! >= length
        ? NONE
        : this.rankOf(ids[place]!, ids[next[place]!]!);
    const consider = (place: number) => {
      const rank = rankAt(place);
      if (rank !== NONE) candidates.push({ rank, place });
    };
    for (let place = 0; place + 1 < length; place++) consider(place);
    for (let top = candidates.pop(); top !== undefined; top = candidates.pop()) {
      const { rank, place } = top;
      if (rankAt(place) !== rank) continue; // an earlier merge changed this pair
      const right = next[place]!;
      ids[place] = this.#mergedIds[rank]!;
      ids[right] = -1;
      next[place] = next[right]!;
      if (next[place]! < length) previous[next[place]!] = place;
      if (previous[place]! >= 0) consider(previous[place]!);
      consider(place);
    }
    return ids.filter((id) => id !== -1);
  }
}
