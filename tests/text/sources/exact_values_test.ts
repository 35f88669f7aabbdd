import assert from "node:assert/strict";
import { UserError } from "../../../lib/errors.ts";
import { createRandom } from "../../../lib/random.ts";
import {
  checkSource,
  exactValues,
  type Source,
  sourceProcess,
  sourceSequences,
} from "../../../lib/text/mod.ts";
import { assertClose } from "../../_numbers.ts";
import { allSequences, jointProbability, TINY } from "./_brute_force.ts";

/** Odd, so that the first half of a copy is the longer one. */
const LENGTH = 5;

/** The probability of every beginning of a sequence of {@linkcode LENGTH}, keyed by its symbols. */
function beginnings(source: Source, symbolCount: number): Map<string, number> {
  const shares = new Map<string, number>();
  for (const symbols of allSequences(symbolCount, LENGTH)) {
    const probability = jointProbability(source, symbols);
    for (let t = 0; t <= LENGTH; t++) {
      const key = symbols.slice(0, t).join();
      shares.set(key, (shares.get(key) ?? 0) + probability);
    }
  }
  return shares;
}

function entropyOf(shares: readonly number[]): number {
  return shares.reduce((nats, share) => share > 0 ? nats - share * Math.log(share) : nats, 0);
}

for (const [name, source] of Object.entries(TINY)) {
  Deno.test(`exactValues() of ${name} are those of all sequences counted`, () => {
    const process = sourceProcess(source);
    const { symbolCount } = process;
    const shareOf = beginnings(source, symbolCount);
    const share = (symbols: readonly number[]) => shareOf.get(symbols.join())!;
    let meanEntropy = 0, meanSurprisal = 0;
    for (const symbols of allSequences(symbolCount, LENGTH)) {
      const probability = share(symbols);
      if (probability < 1e-15) continue;
      const found = exactValues(process, symbols.map((symbol) => symbol + 1));
      const wanted = symbols.map((_, t) => {
        const before = symbols.slice(0, t);
        const next = allSequences(symbolCount, 1).map((one) =>
          share([...before, ...one]) / share(before)
        );
        return { entropy: entropyOf(next), surprisal: -Math.log(next[symbols[t]!]!) };
      });
      assertClose(found.entropyNats, wanted.map(({ entropy }) => entropy), 1e-10, "entropies");
      assertClose(
        found.surprisalNats,
        wanted.map(({ surprisal }) => surprisal),
        1e-10,
        "surprisals",
      );
      for (let t = 1; t < LENGTH; t++) {
        meanEntropy += probability * found.entropyNats[t]! / (LENGTH - 1);
        meanSurprisal += probability * found.surprisalNats[t]! / (LENGTH - 1);
      }
    }
    assertClose([meanSurprisal], [meanEntropy], 1e-10, "mean surprisal");
    if (process.meanEntropyNats !== null) {
      assertClose([process.meanEntropyNats(LENGTH)], [meanEntropy], 1e-10, "mean entropy");
    }
  });

  Deno.test(`sequences of ${name} are as frequent as they are probable`, () => {
    const process = sourceProcess(source);
    const { symbolCount } = process;
    const count = 60_000;
    const random = createRandom(3).stream(name);
    const counts = new Map<string, number>();
    for (let i = 0; i < count; i++) {
      const key = process.draw(LENGTH, random).join();
      counts.set(key, (counts.get(key) ?? 0) + 1);
    }
    let chiSquare = 0, cells = 0;
    for (const symbols of allSequences(symbolCount, LENGTH)) {
      const expected = count * jointProbability(source, symbols);
      const found = counts.get(symbols.join()) ?? 0;
      if (expected < 1e-9) {
        assert.equal(found, 0, `${symbols} cannot be drawn`);
      } else if (expected >= 5) {
        chiSquare += (found - expected) ** 2 / expected;
        cells++;
      }
    }
    assert.ok(cells >= 8, `${cells} cells`);
    // Mean and deviation of a chi-square of as many degrees of freedom are n and √2n.
    const bound = cells + 4 * Math.sqrt(2 * cells);
    assert.ok(chiSquare < bound, `chi-square ${chiSquare} of ${cells} cells, above ${bound}`);
  });

  Deno.test(`exactValues() of ${name}: surprisals are entropies on average`, () => {
    const process = sourceProcess(source);
    const count = 3000, contextLength = 12;
    const random = createRandom(5).stream(name);
    const { ids } = sourceSequences(process, { count, contextLength, random, layout: "packed" });
    const excess = Array.from({ length: count }, (_, row) => {
      const start = row * contextLength;
      const values = exactValues(process, ids.subarray(start, start + contextLength));
      return values.surprisalNats.reduce((sum, nats, t) => sum + nats - values.entropyNats[t]!, 0);
    });
    const mean = excess.reduce((a, b) => a + b) / count;
    const variance = excess.reduce((sum, one) => sum + (one - mean) ** 2, 0) / (count - 1);
    const standardError = Math.sqrt(variance / count);
    assert.ok(Math.abs(mean) <= 4 * standardError + 1e-10, `${mean} ± ${standardError}`);
  });
}

Deno.test("sourceProcess() has the entropy rates that one can write down", () => {
  const rate = (source: Source) => sourceProcess(source).entropyRateNats;
  const h = (...shares: number[]) => entropyOf(shares);
  assertClose([rate(TINY.iid!)!], [h(0.5, 0.3, 0.2)], 1e-12, "iid");
  // Two states that are left with probabilities a and b are visited b to a.
  const [a, b] = [0.3, 0.05];
  const two = checkSource(
    { kind: "markov", transitions: [[1 - a, a], [b, 1 - b]], length: 10, seed: 1 },
    "two states",
  );
  const wanted = (b * h(a, 1 - a) + a * h(b, 1 - b)) / (a + b);
  assertClose([rate(two)!], [wanted], 1e-12, "markov");
  assertClose(
    [rate(TINY.topic!)!],
    [(h(0.6, 0.3, 0.1) + h(0.1, 0.8, 0.1) + h(0.2, 0.8) + h(0.3, 0.3, 0.4)) / 4],
    1e-12,
    "topic",
  );
  assert.equal(rate(TINY["hidden markov"]!), null);
  assert.equal(rate(TINY["corrupted copy"]!), null);
});

Deno.test("exactValues() of a long sequence come to the entropy rate", () => {
  for (const name of ["markov of order 2", "topic"]) {
    const process = sourceProcess(TINY[name]!);
    const count = 40, contextLength = 2000;
    const random = createRandom(9);
    const { ids } = sourceSequences(process, { count, contextLength, random, layout: "packed" });
    let nats = 0;
    for (let row = 0; row < count; row++) {
      const { entropyNats } = exactValues(
        process,
        ids.subarray(row * contextLength, (row + 1) * contextLength),
      );
      assert.ok(entropyNats.every((one) => one >= 0));
      nats += entropyNats.subarray(contextLength / 2).reduce((a, b) => a + b);
    }
    const mean = nats / (count * contextLength / 2);
    // A topic's entropy is one of four numbers: the mean over forty sequences is no closer.
    const tolerance = name === "topic" ? 0.15 : 0.01;
    const rate = process.entropyRateNats!;
    assert.ok(Math.abs(mean - rate) < tolerance, `${name}: ${mean}, not ${rate}`);
  }
});

Deno.test("exactValues() of a beginning are those of the whole", () => {
  for (const [name, source] of Object.entries(TINY)) {
    const process = sourceProcess(source);
    const random = createRandom(2);
    const { ids } = sourceSequences(process, {
      count: 1,
      contextLength: 9,
      random,
      layout: "packed",
    });
    const whole = exactValues(process, ids);
    for (const length of [1, 2, 5, 8]) {
      const part = exactValues(process, ids.subarray(0, length), 9);
      assert.deepEqual(part.entropyNats, whole.entropyNats.slice(0, length), name);
      assert.deepEqual(part.surprisalNats, whole.surprisalNats.slice(0, length), name);
    }
  }
});

Deno.test("exactValues() shows where a copy is corrupted", () => {
  const process = sourceProcess(TINY["corrupted copy"]!);
  // Of seven tokens the first four are new.
  const ids = [1, 2, 3, 3, 1, 3, 2];
  const { corrupted, entropyNats, surprisalNats } = exactValues(process, ids);
  assert.deepEqual([...corrupted!], [0, 0, 0, 0, 0, 1, 1]);
  const right = 0.6 + 0.4 / 3, wrong = 0.4 / 3;
  const ln3 = Math.log(3);
  assertClose(
    surprisalNats,
    [ln3, ln3, ln3, ln3, -Math.log(right), -Math.log(wrong), -Math.log(wrong)],
    1e-12,
    "surprisals",
  );
  const copied = entropyOf([right, wrong, wrong]);
  assertClose(entropyNats, [ln3, ln3, ln3, ln3, copied, copied, copied], 1e-12, "entropies");
  assert.equal(exactValues(sourceProcess(TINY.iid!), [1, 2]).corrupted, null);
});

Deno.test("exactValues() refuses what the source cannot have drawn", () => {
  const refused: readonly [string, number[], number | undefined, string][] = [
    ["iid", [1, 0], undefined, "token 1: expected an id from 1 to 3, found 0"],
    ["iid", [4], undefined, "token 0: expected an id from 1 to 3, found 4"],
    ["iid", [1, 2, 3], 2, "expected at most 2 tokens, those of one sequence, found 3"],
    [
      "markov of order 1 with a period",
      [1, 2, 3, 3],
      undefined,
      "token 3: expected one that can follow the tokens before it, found id 3, which the source " +
      "never draws there",
    ],
    [
      "copy without errors",
      [1, 2, 1, 3],
      undefined,
      "token 3: expected one that can follow the tokens before it, found id 3, which the source " +
      "never draws there",
    ],
  ];
  for (const [name, ids, contextLength, message] of refused) {
    assert.throws(
      () => exactValues(sourceProcess(TINY[name]!), ids, contextLength),
      (error) => error instanceof UserError && error.message === message,
      name,
    );
  }
});
