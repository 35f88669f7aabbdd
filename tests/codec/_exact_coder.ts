/**
 * The range coder's documented recurrence in whole numbers of any length, without carries and without
 * a buffer: what the bytes must say.
 */

import assert from "node:assert/strict";
import { type Interval, TOTAL_BITS } from "../../lib/codec/range_coder.ts";
import type { Random } from "../../lib/random.ts";

const INTERVAL_BITS = 48n;
const SHORTEST = 2n ** 40n;

export type ExactCoder = Readonly<{
  encode(interval: Interval): void;
  /** [low, low + range) in units of 2^−bits. */
  state(): Readonly<{ low: bigint; range: bigint; bits: bigint }>;
  /** Checks that the bytes lie in the interval, and that no fewer would. */
  check(bytes: Uint8Array): void;
}>;

export function createExactCoder(): ExactCoder {
  let low = 0n;
  let range = 2n ** INTERVAL_BITS;
  let settled = 0n; // bytes
  const bits = () => INTERVAL_BITS + 8n * settled;
  return {
    encode({ start, size, total }) {
      const unit = range / BigInt(total);
      low += unit * BigInt(start);
      range = start + size === total ? range - unit * BigInt(start) : unit * BigInt(size);
      for (; range < SHORTEST; range *= 256n) {
        low *= 256n;
        settled++;
      }
    },
    state: () => ({ low, range, bits: bits() }),
    check(bytes) {
      const isInside = (value: bigint) => low <= value && value < low + range;
      const unitOf = (length: bigint) => {
        const shift = bits() - 8n * length;
        return shift >= 0n ? 2n ** shift : 1n;
      };
      const hex = bytes.toHex();
      const value = BigInt(`0x0${hex}`) * unitOf(BigInt(bytes.length));
      assert.ok(isInside(value), "the bytes lie in the interval");
      const shorter = BigInt(bytes.length) - 1n;
      if (shorter < settled) return; // bytes that are settled are all written
      const unit = unitOf(shorter);
      assert.ok(!isInside((low + unit - 1n) / unit * unit), "one byte less would do");
    },
  };
}

/** What a decoder by the same recurrence reads: the symbols of bytes as one number. */
export function decodeExactly(
  bytes: Uint8Array,
  models: readonly Readonly<{ sizes: readonly number[]; total: number }>[],
): number[] {
  const coder = createExactCoder();
  return models.map(({ sizes, total }) => {
    const { low, range, bits } = coder.state();
    const shift = bits - 8n * BigInt(bytes.length);
    const value = BigInt(`0x0${bytes.toHex()}`);
    const code = (shift >= 0n ? value << shift : value >> -shift) - low;
    let start = 0;
    for (const [symbol, size] of sizes.entries()) {
      const isLast = start + size === total;
      if (isLast || code < range / BigInt(total) * BigInt(start + size)) {
        coder.encode({ start, size, total });
        return symbol;
      }
      start += size;
    }
    assert.fail("no symbol holds the code");
  });
}

/** Intervals whose coder stays astride a byte's border: all bytes after the first wait for a carry. */
export function astride(random: Random, steps: number) {
  const exact = createExactCoder();
  const intervals: Interval[] = [];
  const encode = (interval: Interval) => {
    intervals.push(interval);
    exact.encode(interval);
  };
  encode({ start: 1, size: 1, total: 3 });
  const { low, range, bits } = exact.state();
  const border = ((low + range / 2n) >> (bits - 8n)) + 1n; // in units of the first byte
  const symbolAt = (total: number) => {
    const { low, range, bits } = exact.state();
    const symbol = Number(((border << (bits - 8n)) - low) / (range / BigInt(total)));
    return Math.min(total - 1, symbol);
  };
  for (let step = 0; step < steps; step++) {
    const total = 2 ** TOTAL_BITS - Math.floor(1000 * random.uniform());
    encode({ start: symbolAt(total), size: 1, total });
  }
  return { intervals, encode, symbolAt, first: Number(border) };
}
