/** A shard in the making: documents are added until it is large enough to be written. */

import { idBytesOf, type Side, type SideContent, SIDES } from "./format.ts";

/** An array of numbers that grows, and gives what was pushed. */
class Growing<Numbers extends Uint16Array | Uint32Array> {
  #numbers: Numbers;
  #length = 0;
  readonly #make: (length: number) => Numbers;

  constructor(make: (length: number) => Numbers) {
    this.#make = make;
    this.#numbers = make(1024);
  }

  get length(): number {
    return this.#length;
  }

  push(values: ArrayLike<number>): void {
    const needed = this.#length + values.length;
    if (needed > this.#numbers.length) {
      const larger = this.#make(Math.max(needed, 2 * this.#numbers.length));
      larger.set(this.#numbers.subarray(0, this.#length));
      this.#numbers = larger;
    }
    this.#numbers.set(values, this.#length);
    this.#length = needed;
  }

  get values(): Numbers {
    return this.#numbers.subarray(0, this.#length) as Numbers;
  }

  clear(): void {
    this.#length = 0;
  }
}

/** The documents of a shard that are there so far, by side. */
export class ShardBuilder {
  readonly #sides;

  constructor(vocabSize: number) {
    const makeIds = idBytesOf(vocabSize) === 2
      ? (length: number) => new Uint16Array(length)
      : (length: number) => new Uint32Array(length);
    const side = () => ({
      ids: new Growing<Uint16Array | Uint32Array>(makeIds),
      ends: new Growing((length) => new Uint32Array(length)),
      byteCounts: new Growing((length) => new Uint32Array(length)),
    });
    this.#sides = { train: side(), heldOut: side() };
  }

  /** Tokens of both sides. */
  get tokens(): number {
    return SIDES.reduce((sum, side) => sum + this.#sides[side].ids.length, 0);
  }

  /** A document without tokens is none. */
  add(side: Side, ids: ArrayLike<number>, bytes: number): void {
    if (ids.length === 0) return;
    const to = this.#sides[side];
    to.ids.push(ids);
    to.ends.push([to.ids.length]);
    to.byteCounts.push([bytes]);
  }

  /** What was added, valid until the next `add` or `clear`. */
  content(): Readonly<Record<Side, SideContent>> {
    const contentOf = (side: Side): SideContent => {
      const { ids, ends, byteCounts } = this.#sides[side];
      return { ids: ids.values, ends: ends.values, byteCounts: byteCounts.values };
    };
    return { train: contentOf("train"), heldOut: contentOf("heldOut") };
  }

  clear(): void {
    for (const side of SIDES) {
      const { ids, ends, byteCounts } = this.#sides[side];
      for (const numbers of [ids, ends, byteCounts]) numbers.clear();
    }
  }
}
