import assert from "node:assert/strict";
import { UserError } from "../../../lib/errors.ts";
import { createRandom } from "../../../lib/random.ts";
import {
  checkSource,
  type FullRows,
  SOURCE_PAD_ID,
  sourceProcess,
  sourceSequences,
  type Windows,
} from "../../../lib/text/mod.ts";
import { TINY } from "./_brute_force.ts";

const LENGTH = 8;

function sequences(
  name: string,
  layout: Windows["layout"],
  { count = 40, seed = 1, fullRows }: { count?: number; seed?: number; fullRows?: FullRows } = {},
): Windows {
  return sourceSequences(sourceProcess(TINY[name]!), {
    count,
    contextLength: LENGTH,
    random: createRandom(seed),
    layout,
    ...(fullRows === undefined ? {} : { fullRows }),
  });
}

function row({ ids }: Windows, number: number): number[] {
  return [...ids.subarray(number * LENGTH, (number + 1) * LENGTH)];
}

Deno.test("sourceSequences() gives packed windows of symbols from id 1 on, a byte a token", () => {
  const { ids, ...rest } = sequences("iid", "packed", { count: 3 });
  assert.deepEqual([...new Set(ids)].sort(), [1, 2, 3]);
  assert.deepEqual(rest, {
    contextLength: LENGTH,
    count: 3,
    realTokens: Int32Array.of(LENGTH, LENGTH, LENGTH),
    byteCounts: Int32Array.of(LENGTH - 1, LENGTH - 1, LENGTH - 1),
    layout: "packed",
  });
});

Deno.test("sourceSequences() has the same sequences padded and packed", () => {
  for (const name of Object.keys(TINY)) {
    const packed = sequences(name, "packed");
    const padded = sequences(name, "padded");
    for (let number = 0; number < packed.count; number++) {
      const real = padded.realTokens[number]!;
      assert.deepEqual(row(padded, number), [
        ...Array(LENGTH - real).fill(SOURCE_PAD_ID),
        ...row(packed, number).slice(0, real),
      ]);
    }
  }
});

Deno.test("sourceSequences() scores the first token of a padded window, not of a full one", () => {
  const { realTokens, byteCounts, count, layout } = sequences("topic", "padded");
  assert.equal(layout, "padded");
  for (let number = 0; number < count; number++) {
    const real = realTokens[number]!;
    assert.equal(byteCounts[number], real === LENGTH ? LENGTH - 1 : real);
  }
});

Deno.test("sourceSequences() leaves half of the padded rows full, the others of any length", () => {
  const count = 7001;
  const every = sequences("iid", "padded", { count }).realTokens;
  const first = sequences("iid", "padded", { count, fullRows: "first half" }).realTokens;
  const cutEvery = every.filter((_, number) => number % 2 === 1);
  const cutFirst = first.subarray(3501);
  assert.ok(every.every((real, number) => number % 2 === 1 || real === LENGTH));
  assert.ok(first.subarray(0, 3501).every((real) => real === LENGTH));
  for (const lengths of [cutEvery, cutFirst]) {
    assert.equal(lengths.length, 3500);
    const expected = lengths.length / (LENGTH - 1);
    for (let length = 0; length <= LENGTH; length++) {
      const found = lengths.filter((real) => real === length).length;
      if (length < 2) assert.equal(found, 0);
      else assert.ok(Math.abs(found - expected) < 4 * Math.sqrt(expected), `${length}: ${found}`);
    }
  }
});

Deno.test("sourceSequences() counts the middle one of the rows to their first half", () => {
  const process = sourceProcess(TINY.iid!);
  for (const [count, full] of [[1, 1], [4, 2], [5, 3]] as const) {
    const { realTokens } = sourceSequences(process, {
      count,
      contextLength: 1000, // a length that is full by chance is rare
      random: createRandom(1),
      layout: "padded",
      fullRows: "first half",
    });
    assert.deepEqual(
      [...realTokens].map((real) => real === 1000),
      [...realTokens.keys()].map((number) => number < full),
    );
  }
});

Deno.test("sourceSequences() is a function of its stream; more begin with the same", () => {
  for (const name of Object.keys(TINY)) {
    const { ids } = sequences(name, "padded");
    assert.deepEqual(sequences(name, "padded").ids, ids);
    assert.notDeepEqual(sequences(name, "padded", { seed: 2 }).ids, ids);
    const more = sequences(name, "padded", { count: 60 }).ids;
    assert.deepEqual(more.subarray(0, ids.length), ids);
  }
});

Deno.test("sourceSequences() draws another sequence, the same table, for another seed", () => {
  const drawn = { kind: "markov", symbols: 4, order: 2, concentration: 0.3, length: 100 };
  const process = (changes: object) =>
    sourceProcess(checkSource({ ...drawn, seed: 1, ...changes }, "drawn"));
  const rate = process({}).entropyRateNats;
  assert.equal(process({ seed: 2 }).entropyRateNats, rate);
  assert.equal(process({ tableSeed: 0 }).entropyRateNats, rate);
  assert.notEqual(process({ tableSeed: 1 }).entropyRateNats, rate);
});

Deno.test("sourceSequences() refuses a context of one token", () => {
  const process = sourceProcess(TINY.iid!);
  const random = createRandom(1);
  assert.throws(
    () => sourceSequences(process, { count: 1, contextLength: 1, random, layout: "packed" }),
    (error) =>
      error instanceof UserError &&
      error.message === "expected a context of 2 tokens or more, found 1",
  );
});
