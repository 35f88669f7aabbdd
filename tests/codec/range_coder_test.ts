import assert from "node:assert/strict";
import {
  createRangeDecoder,
  createRangeEncoder,
  type Interval,
  TOTAL_BITS,
} from "../../lib/codec/range_coder.ts";
import { UserError } from "../../lib/errors.ts";
import { createRandom, type Random } from "../../lib/random.ts";
import { refusal } from "../models/_tiny.ts";
import { astride, createExactCoder, decodeExactly } from "./_exact_coder.ts";

const LARGEST = 2 ** TOTAL_BITS;

const below = (random: Random, limit: number) => Math.floor(limit * random.uniform());

/** Intervals of every extreme: one of 2²⁶, all but one, whole totals, odd totals, the last symbol. */
function extremeInterval(random: Random): Interval {
  const total = [LARGEST, LARGEST - 1, 1, 2, 3, 256, 1 + below(random, LARGEST)][
    below(random, 7)
  ]!;
  const size = [1, total - 1, total, 1 + below(random, total)][below(random, 4)]! || 1;
  const start = [0, total - size, below(random, total - size + 1)][below(random, 3)]!;
  return { start, size, total };
}

function encodeAll(intervals: readonly Interval[]): Uint8Array {
  const encoder = createRangeEncoder();
  for (const interval of intervals) encoder.encode(interval);
  return encoder.finish();
}

/** Reads the intervals back; each must hold what the decoder points at. */
function assertReads(bytes: Uint8Array, intervals: readonly Interval[]): void {
  const decoder = createRangeDecoder(bytes);
  for (const [i, interval] of intervals.entries()) {
    const place = decoder.peek(interval.total);
    const { start, size } = interval;
    assert.ok(place >= start && place < start + size, `symbol ${i}: ${place} for ${start}+${size}`);
    decoder.read(interval);
  }
}

function assertExact(intervals: readonly Interval[], bytes = encodeAll(intervals)): void {
  const exact = createExactCoder();
  for (const interval of intervals) exact.encode(interval);
  exact.check(bytes);
  assertReads(bytes, intervals);
}

const surprisal = ({ size, total }: Interval) => -Math.log2(size / total);

Deno.test("createRangeEncoder() writes the shortest bytes that lie in the exact interval", () => {
  for (let seed = 0; seed < 400; seed++) {
    const random = createRandom(seed);
    const count = below(random, 60);
    assertExact(Array.from({ length: count }, () => extremeInterval(random)));
  }
});

Deno.test("createRangeDecoder() reads what whole numbers of any length read", () => {
  for (let seed = 0; seed < 100; seed++) {
    const random = createRandom(seed);
    const models = Array.from({ length: 40 }, () => {
      const sizes = Array.from({ length: 1 + below(random, 6) }, () => {
        const bits = below(random, 23);
        return 1 + below(random, 2 ** bits);
      });
      return { sizes, total: sizes.reduce((sum, size) => sum + size, 0) };
    });
    const symbols = models.map(({ sizes }) => below(random, sizes.length));
    const intervalOf = (i: number, symbol: number): Interval => {
      const { sizes, total } = models[i]!;
      const start = sizes.slice(0, symbol).reduce((sum, size) => sum + size, 0);
      return { start, size: sizes[symbol]!, total };
    };
    const bytes = encodeAll(symbols.map((symbol, i) => intervalOf(i, symbol)));
    assert.deepEqual(decodeExactly(bytes, models), symbols);

    // Any bytes mean some symbols, and both readers find the same ones.
    const noise = Uint8Array.from({ length: 160 }, () => below(random, 256));
    const decoder = createRangeDecoder(noise);
    const found = models.map(({ sizes, total }, i) => {
      const place = decoder.peek(total);
      let symbol = 0;
      for (let end = sizes[0]!; end <= place; end += sizes[symbol]!) symbol++;
      decoder.read(intervalOf(i, symbol));
      return symbol;
    });
    assert.deepEqual(found, decodeExactly(noise, models));
  }
});

Deno.test("createRangeEncoder() carries into hundreds of bytes of 255", () => {
  for (let seed = 0; seed < 20; seed++) {
    const random = createRandom(seed);
    const above = astride(random, 200);
    const total = 1000;
    above.encode({ start: above.symbolAt(total) + 1, size: 1, total });
    const carried = encodeAll(above.intervals);
    assertExact(above.intervals, carried);
    assert.deepEqual([...carried.subarray(0, 600)], [above.first, ...Array(599).fill(0)]);

    const under = astride(random, 200);
    const symbol = under.symbolAt(total);
    assert.ok(symbol > 0);
    under.encode({ start: symbol - 1, size: 1, total });
    const waiting = encodeAll(under.intervals);
    assertExact(under.intervals, waiting);
    assert.deepEqual([...waiting.subarray(0, 600)], [under.first - 1, ...Array(599).fill(255)]);

    // The end chooses the border itself, which has the fewest bytes.
    const open = astride(random, 200);
    const ended = encodeAll(open.intervals);
    assertExact(open.intervals, ended);
    assert.equal(ended[0], open.first);
    assert.ok(ended.subarray(1).every((byte) => byte === 0));
  }
});

Deno.test("createRangeEncoder() takes no bytes for nothing and for what is certain", () => {
  assert.deepEqual(encodeAll([]), new Uint8Array());
  const certain = Array<Interval>(10_000).fill({ start: 0, size: LARGEST, total: LARGEST });
  assert.deepEqual(encodeAll(certain), new Uint8Array());
  assertReads(new Uint8Array(), certain);
  assert.equal(createRangeEncoder().bits(), 0);
});

Deno.test("createRangeEncoder() is as long as the surprisal of long streams", () => {
  const random = createRandom(5);
  const streams: Readonly<Record<string, readonly Interval[]>> = {
    "bytes alike": Array.from({ length: 50_000 }, () => ({
      start: below(random, 256),
      size: 1,
      total: 256,
    })),
    "one of 2^26": Array.from({ length: 20_000 }, () => ({
      start: below(random, LARGEST - 1),
      size: 1,
      total: LARGEST,
    })),
    "all but one of 2^26": Array(300_000).fill({ start: 0, size: LARGEST - 1, total: LARGEST }),
    "sizes of all magnitudes": Array.from({ length: 50_000 }, () => {
      const size = Math.ceil(2 ** (25.9 * random.uniform()));
      return { start: below(random, LARGEST - size), size, total: LARGEST };
    }),
  };
  for (const [name, intervals] of Object.entries(streams)) {
    const encoder = createRangeEncoder();
    for (const interval of intervals) encoder.encode(interval);
    const bits = encoder.bits();
    const expected = intervals.reduce((sum, interval) => sum + surprisal(interval), 0);
    const rounding = 1e-9 * expected + 1e-6;
    assert.ok(bits >= expected - rounding, `${name}: ${bits} bits, at least ${expected}`);
    // 2^−14 nats a symbol at the most, and a fraction of it on average.
    const most = intervals.length * 2 ** -14 / Math.LN2 / 8;
    assert.ok(bits <= expected + most + rounding, `${name}: ${bits} bits, ${expected} + ${most}`);
    const bytes = encoder.finish();
    assert.ok(Math.abs(8 * bytes.length - bits) <= 8, `${name}: the end takes up to a byte`);
    assertReads(bytes, intervals);
  }
});

Deno.test("createRangeEncoder() costs no symbol more than 2^−14 nats too much", () => {
  for (let seed = 0; seed < 50; seed++) {
    const random = createRandom(seed);
    const encoder = createRangeEncoder();
    for (let i = 0; i < 200; i++) {
      const interval = extremeInterval(random);
      const before = encoder.bits();
      encoder.encode(interval);
      const excess = encoder.bits() - before - surprisal(interval);
      assert.ok(excess <= 2 ** -14 / Math.LN2 + 1e-9, `${JSON.stringify(interval)}: ${excess}`);
      const isLast = interval.start + interval.size === interval.total;
      assert.ok(isLast || excess >= -1e-9, `${JSON.stringify(interval)}: ${excess}`);
    }
  }
});

Deno.test("createRangeDecoder() comes to an end in any bytes and reads none behind them", () => {
  for (let seed = 0; seed < 200; seed++) {
    const random = createRandom(seed);
    const length = below(random, 40);
    const lying = Uint8Array.from({ length: 100 }, () => below(random, 256));
    const bits = 1 + below(random, TOTAL_BITS);
    const read = (bytes: Uint8Array) => {
      const decoder = createRangeDecoder(bytes);
      const symbols: number[] = [];
      try {
        for (;;) {
          const start = decoder.peek(2 ** bits);
          assert.ok(start >= 0 && start < 2 ** bits);
          decoder.read({ start, size: 1, total: 2 ** bits });
          symbols.push(start);
        }
      } catch (error) {
        assert.ok(error instanceof UserError, String(error));
        return { symbols, message: error.message };
      }
    };
    const alone = read(lying.slice(30, 30 + length));
    assert.deepEqual(read(lying.subarray(30, 30 + length)), alone);
    // The interval keeps its shortest 40 bits, and the 48 it begins with may all lie behind the end.
    assert.equal(alone.symbols.length, Math.floor(8 * (length + 1) / bits));
    assert.match(alone.message, new RegExp(`^expected more than ${length} bytes of tokens, found`));
    assert.doesNotMatch(alone.message, /\n/);
  }
});

Deno.test("createRangeDecoder() reads the zeros that its end left out, and no more", () => {
  // Ones of 256 that are 0 settle bytes of 0, of which the end writes none beyond those settled.
  const zeros = Array<Interval>(40).fill({ start: 0, size: 1, total: 256 });
  const bytes = encodeAll(zeros);
  assertReads(bytes, zeros);
  assert.match(
    refusal(() => assertReads(bytes, Array<Interval>(60).fill(zeros[0]!))),
    /^expected more than \d+ bytes of tokens, found/,
  );
});

Deno.test("encode() and read() refuse intervals that are none", () => {
  const bad: readonly Interval[] = [
    { start: 0, size: 0, total: 10 },
    { start: -1, size: 2, total: 10 },
    { start: 9, size: 2, total: 10 },
    { start: 10, size: 1, total: 10 },
    { start: 0, size: 1, total: LARGEST + 1 },
    { start: 0, size: 1, total: 0 },
    { start: NaN, size: 1, total: 10 },
    { start: 0, size: NaN, total: 10 },
    { start: 0, size: 1, total: NaN },
    { start: 0.5, size: 1, total: 10 },
    { start: 0, size: 1.5, total: 10 },
    { start: 0, size: 1, total: 10.5 },
  ];
  for (const interval of bad) {
    const { start, size, total } = interval;
    const expected = new RangeError(
      "expected an interval of whole numbers within a total of at most 2^26, found " +
        `[${start}, ${start + size}) of ${total}`,
    );
    assert.throws(() => createRangeEncoder().encode(interval), expected);
    assert.throws(() => createRangeDecoder(new Uint8Array(9)).read(interval), expected);
  }
});
