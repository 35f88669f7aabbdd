/** Results of planned runs that were never trained: the specifications are real, the numbers made up. */

import assert from "node:assert/strict";
import { type ClaimRow, validateClaims } from "../../lib/experiments/claims.ts";
import type { RunResult } from "../../lib/experiments/run.ts";
import type { RunSpec } from "../../lib/experiments/run_spec.ts";
import type { RunRecord } from "../../lib/experiments/run_store.ts";
import { embeddingSize } from "../../lib/models/mod.ts";
import { createRandom } from "../../lib/random.ts";

/**
 * What a run measures, and claims may read, in nats per token: the loss at the end, a third of the
 * way, and at the end with a rounded or a neighbour's embedding.
 */
export type Quantity = "end" | "third" | "foreign" | `${number} bits`;

/** The number that a run of an arm measures; the place of its seed among the seeds counts from 0. */
export type Made = (arm: string, quantity: Quantity, place: number) => number;

/** One result a specification. What no claim may read is not a number. */
export function makeResults(specs: readonly RunSpec[], made: Made): RunResult[] {
  const places = new Map<string, number>();
  return specs.map((spec) => {
    const label = `${spec.family}, ${spec.arm}`;
    const place = places.get(label) ?? 0;
    places.set(label, place + 1);
    const of = (quantity: Quantity) => made(spec.arm, quantity, place);
    const config = { id: `${label} ${place}`, spec, facts: factsOf(spec), ...MACHINE };
    return { config, records: recordsOf(spec, of), source: "stored" };
  });
}

const MACHINE = { backend: "cpu", git: "abc" };

function factsOf({ data, training }: RunSpec): RunResult["config"]["facts"] {
  return {
    parameterCount: 1000,
    embeddingSize: embeddingSize(training.model),
    bytesPerToken: 3.92,
    meanRealTokens: data.contextLength,
    trainWindows: 9,
    heldOutWindows: data.heldOutWindows,
  };
}

function recordsOf(
  { data, training, quantizedBits }: RunSpec,
  of: (quantity: Quantity) => number,
): RunRecord[] {
  const { model, batchSize, evaluateEvery, schedule: { steps } } = training;
  const at = (step: number) => ({ step, tokens: step * batchSize * data.contextLength });
  const evaluated = Array.from(
    { length: Math.ceil(steps / evaluateEvery) },
    (_, i) => Math.min((i + 1) * evaluateEvery, steps),
  );
  const distance = (step: number) => Math.abs(step - steps / 3);
  const third = evaluated.reduce((nearest, step) =>
    distance(step) < distance(nearest) ? step : nearest
  );
  const records: RunRecord[] = evaluated.map((step) => ({
    type: "evaluation",
    ...at(step),
    lossNats: step === steps ? of("end") : step === third ? of("third") : NaN,
    scoredTokens: 1000,
  }));
  for (const bits of quantizedBits) {
    const lossNats = of(`${bits} bits`);
    records.push({ type: "measurement", what: "quantized embedding", bits, lossNats });
  }
  if (model.kind === "augmented" && model.memory === "embedding") {
    records.push({ type: "measurement", what: "foreign embedding", lossNats: of("foreign") });
  }
  return [...records, { type: "end", ...at(steps), reason: "finished" }];
}

/** Reads the mean of a made-up number over seeds; the quantity is `end` unless named. */
export type Reader = (arm: string, quantity?: Quantity) => number;

/** A claim as the paper makes it. */
export type PaperClaim = Readonly<{
  /** Its row in the paper's table (paper §9), or the section that it stands in. */
  experiment: string;
  /** What no wording of the claim can do without. */
  words: readonly string[];
  /** Above 0 when the paper is right; near 0 for `close`, whose sign means nothing. */
  effect: (of: Reader) => number;
  kind?: "close";
}>;

type ClaimsOf = (made: Made) => readonly ClaimRow[];
type Input = readonly [arm: string, quantity: Quantity];

const title = ({ experiment, claim }: ClaimRow) => `${experiment}: ${claim}`;

/** Differences between two of three arms are sometimes their spread: one world is too few. */
const WORLDS = 10;

/**
 * Checks that the rows are the paper's claims, one each: in worlds of numbers that all differ, and
 * whenever one of them is raised or lowered by far, every row shows its claim's effect, so that
 * exactly those change that are about the number. The paper's effects are of means over seeds.
 */
export function assertEffects(
  claimsOf: ClaimsOf,
  seedCount: number,
  inputs: readonly Input[],
  paper: readonly PaperClaim[],
): void {
  const rowsIn = (world: World) =>
    claimsOf((arm, quantity, place) => {
      const mean = world.get([arm, quantity].join()) ?? NaN;
      // Seeds that disagree on which arm is better, with sums of 0.
      return mean + 500 * Math.sin(arm.length) * (place - (seedCount - 1) / 2);
    });
  const worlds = Array.from({ length: WORLDS }, (_, seed) => {
    const random = createRandom(seed);
    const numbers = inputs.map((input) => [input.join(), 5000 + 100 * random.uniform()] as const);
    const world: World = new Map(numbers);
    return { world, rows: rowsIn(world) };
  });
  const { world, rows } = worlds[0]!;
  validateClaims(rows, "claims");
  const order = rows.map((row, i) => {
    const claims = paper.filter((claim) =>
      claim.experiment === row.experiment &&
      worlds.every(({ world, rows }) => shows(rows[i]!, claim, world))
    );
    assert.equal(claims.length, 1, `${title(row)}: is ${claims.length} of the paper's effects`);
    for (const word of claims[0]!.words) {
      assert.ok(
        row.claim.toLowerCase().includes(word.toLowerCase()),
        `${title(row)}: no "${word}"`,
      );
    }
    return claims[0]!;
  });
  const missing = paper.filter((claim) => !order.includes(claim));
  assert.deepEqual(missing.map(({ experiment, words }) => [experiment, ...words]), []);
  assert.equal(rows.length, paper.length, "a claim stands there twice");

  for (const input of inputs.map((input) => input.join())) {
    for (const change of [1000, -1000]) {
      const changed = new Map([...world, [input, world.get(input)! + change]]);
      rowsIn(changed).forEach((row, i) => {
        const what = `${title(row)}: ${row.ours} with ${input} changed by ${change}`;
        assert.ok(shows(row, order[i]!, changed), what);
      });
    }
  }
}

type World = ReadonlyMap<string, number>;

function shows({ ours }: ClaimRow, { effect, kind }: PaperClaim, world: World): boolean {
  const expected = effect((arm, quantity = "end") => world.get([arm, quantity].join()) ?? NaN);
  const isNear = (a: number) => Math.abs(a - expected) < 1e-9 * 5000;
  return isNear(ours!) || (kind === "close" && isNear(-ours!));
}

/** Asserts the verdict of every row. */
export function assertVerdicts(rows: readonly ClaimRow[], expected: ClaimRow["verdict"]): void {
  for (const row of rows) {
    assert.equal(row.verdict, expected, `${title(row)}: ${row.ours}, [${row.interval}]`);
  }
}

/** The one row of an experiment whose claim has these words. */
export function findClaim(
  rows: readonly ClaimRow[],
  experiment: string,
  words: readonly string[],
): ClaimRow {
  const [found, ...others] = rows.filter((row) =>
    row.experiment === experiment && words.every((word) => row.claim.includes(word))
  );
  assert.ok(found !== undefined && others.length === 0, `one claim of ${experiment}, ${words}`);
  return found;
}

/**
 * What counts as the same: an arm whose loss is off another's by any of these shares of it, above or
 * below, but not by half as much again.
 */
export type Tie = readonly [
  experiment: string,
  words: readonly string[],
  arm: string,
  other: string,
  shares: readonly number[],
];

/** Asserts that the tie's claim is judged `holds` within its shares, and not reproduced beyond. */
export function assertTie(
  claimsOf: ClaimsOf,
  loss: (arm: string, quantity: Quantity) => number,
  [experiment, words, arm, other, shares]: Tie,
  holds: ClaimRow["verdict"],
): void {
  const verdictAt = (share: number) => {
    const near = loss(other, "end") * (1 + share);
    const rows = claimsOf((name, quantity) =>
      name === arm && quantity === "end" ? near : loss(name, quantity)
    );
    return findClaim(rows, experiment, words).verdict;
  };
  for (const share of shares) {
    assert.equal(verdictAt(share), holds, `${share}`);
    assert.equal(verdictAt(1.5 * share), "not reproduced", `${1.5 * share}`);
  }
}

/**
 * Seeds that nearly agree: each has a part of its own that all arms share, which differences between
 * them do not show, and a small one that is the arm's.
 */
export function withSeeds(loss: (arm: string, quantity: Quantity) => number): Made {
  return (arm, quantity, place) => {
    const own = 0.0005 * Math.sin(arm.length * (place + 1) + arm.codePointAt(0)!);
    return loss(arm, quantity) + 0.3 * place + own;
  };
}
