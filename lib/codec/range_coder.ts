/**
 * A range coder over bytes: symbols of known frequencies to a file that is as long as their
 * surprisal, and back.
 *
 *     r = ⌊range / total⌋;   low ← low + r · start;   range ← r · size
 *
 * The interval [low, low + range) holds 48 bits, as whole numbers in doubles, which are exact up to
 * 2⁵³; whenever less than 40 bits are left, its highest byte is settled and written. A byte that was
 * written may still grow by one when `low` overflows, and the carry runs on to those before it. What
 * ⌊·⌋ cuts off belongs to the last symbol, so that nothing of the interval is lost.
 *
 * Overhead: with totals of at most 2²⁶ a symbol costs at most 2⁻¹⁴ nats more than −ln(size/total), on
 * average far less, and the end of the file at most one byte.
 */

import { UserError } from "../errors.ts";

/** Where a symbol lies among all frequencies: [start, start + size) of total. */
export type Interval = Readonly<{ start: number; size: number; total: number }>;

/** Bits of the largest sum of frequencies. */
export const TOTAL_BITS = 26;

const BYTE = 2 ** 8;
const TOP = 2 ** 48;
const SHORTEST = TOP / BYTE;
const INTERVAL_BYTES = 6;

export type RangeEncoder = Readonly<{
  /**
   * @throws RangeError for an interval that is empty, broken, beyond its total, or of too large a
   *   total.
   */
  encode(interval: Interval): void;
  /** How many bits what was encoded so far takes. */
  bits(): number;
  /** The bytes; nothing can be encoded afterwards. */
  finish(): Uint8Array<ArrayBuffer>;
}>;

export function createRangeEncoder(): RangeEncoder {
  let bytes = new Uint8Array(1 << 12);
  let count = 0;
  let low = 0;
  let range = TOP;

  function carry() {
    let at = count - 1;
    while (bytes[at] === BYTE - 1) bytes[at--] = 0;
    bytes[at]!++;
  }

  /** Writes the highest byte of `low` and moves the rest up. */
  function shift() {
    if (count === bytes.length) {
      const longer = new Uint8Array(2 * count);
      longer.set(bytes);
      bytes = longer;
    }
    const highest = Math.floor(low / SHORTEST);
    bytes[count++] = highest;
    low = (low - highest * SHORTEST) * BYTE;
  }

  return {
    encode(interval) {
      checkInterval(interval);
      const { start, size, total } = interval;
      const unit = Math.floor(range / total);
      low += unit * start;
      range = start + size === total ? range - unit * start : unit * size;
      if (low >= TOP) {
        low -= TOP;
        carry();
      }
      for (; range < SHORTEST; range *= BYTE) shift();
    },
    bits: () => 8 * count + Math.log2(TOP / range),
    finish() {
      // The number in the interval with the fewest bytes: the decoder reads zeros beyond the end.
      let unit = TOP;
      let chosen = low;
      do {
        chosen = Math.ceil(low / unit) * unit;
        unit /= BYTE;
      } while (chosen >= low + range);
      low = chosen;
      if (low >= TOP) {
        low -= TOP;
        carry();
      }
      while (low > 0) shift();
      return bytes.slice(0, count);
    },
  };
}

export type RangeDecoder = Readonly<{
  /**
   * Where in `total` the next symbol lies: the caller finds the symbol whose interval holds it and
   * must {@linkcode RangeDecoder.read} that interval.
   */
  peek(total: number): number;
  /** @throws UserError when the bytes are used up. */
  read(interval: Interval): void;
}>;

/**
 * Reads what an encoder wrote; from bytes that none wrote it reads some symbols or other, until they
 * are used up.
 */
export function createRangeDecoder(bytes: Uint8Array): RangeDecoder {
  let at = 0;
  let code = 0; // the bytes read, less the encoder's low
  let range = TOP;
  function shift() {
    // Zeros at the end are not written: as many may be missing as an interval has bytes.
    if (at >= bytes.length + INTERVAL_BYTES) {
      throw new UserError(
        `expected more than ${bytes.length} bytes of tokens, found their end; ` +
          "decode them with the frequencies that they were encoded with",
      );
    }
    code = code * BYTE + (bytes[at++] ?? 0);
  }
  while (at < INTERVAL_BYTES) shift();
  return {
    peek: (total) => Math.min(total - 1, Math.floor(code / Math.floor(range / total))),
    read(interval) {
      checkInterval(interval);
      const { start, size, total } = interval;
      const unit = Math.floor(range / total);
      code -= unit * start;
      range = start + size === total ? range - unit * start : unit * size;
      for (; range < SHORTEST; range *= BYTE) shift();
    },
  };
}

function checkInterval({ start, size, total }: Interval): void {
  const isWhole = Number.isInteger(start) && Number.isInteger(size) && Number.isInteger(total);
  const isWithin = start >= 0 && size >= 1 && start + size <= total && total <= 2 ** TOTAL_BITS;
  if (isWhole && isWithin) return;
  throw new RangeError(
    `expected an interval of whole numbers within a total of at most 2^${TOTAL_BITS}, found ` +
      `[${start}, ${start + size}) of ${total}`,
  );
}
