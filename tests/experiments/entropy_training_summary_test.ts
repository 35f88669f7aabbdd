import assert from "node:assert/strict";
import type { ArmSummary } from "../../lib/experiments/arm_summary.ts";
import {
  armsOf,
  excessTable,
  gainBars,
  gapAtTrainLoss,
  gapDifferences,
  gapPoints,
  meanValues,
  outcomeOf,
  outcomes,
  outcomeTable,
  signed,
  smallDataArms,
  stoppedByOthers,
  trainedArm,
  weightTable,
} from "../../lib/experiments/entropy_training_summary.ts";
import type { RunResult } from "../../lib/experiments/run.ts";
import { mean } from "../../lib/measure/mod.ts";
import { createRandom } from "../../lib/random.ts";
import {
  EARLY_STEPS,
  firstSeed,
  halfWidth,
  type MadePoint,
  type MadeRun,
  PRESET,
  signedMean,
  SPECS,
  SURPRISAL,
  trainedResults,
} from "./_entropy_training.ts";
import { assertNear } from "./_made_runs.ts";

const { seeds } = PRESET;
const places = [...seeds.keys()];
const TEXT_ARMS = [
  "plain",
  "plain, few steps",
  "plain, dropout",
  "|CE − e|",
  "|CE − e|, dropout",
  "|CE − e|, scale 1",
  "e of another seed's teacher",
  "flooding at mean e",
  "e constant",
  "e shuffled",
  "e predictive entropy",
  "e from the other text",
  "e from the other text, predictive entropy",
  "e from the subset",
  "e from the subset, predictive entropy",
  "e cross-fitted",
  "max(CE, e)",
  "label smoothing",
  "L1 penalty",
  "L2 penalty",
];

const draw = (...of: (string | number)[]) => createRandom(7).stream(of.join()).uniform();

/**
 * Curves that all differ, least in the middle or shortly after. Plain training goes straight from
 * where its held-out loss is least, so that its gap at a training loss t is 5 − 1.5 t, and 0.1 more
 * with each seed; one other arm comes lower than it ever does.
 */
const LOWEST = "max(CE, e)";
const made: MadeRun = (family, arm, place) => {
  const own = (what: string) => draw(family, arm, place, what);
  const meanValue = own("mean value");
  if (arm === "plain") {
    const held = [5.5, 3, 4, 4.75].map((nats) => nats + 0.1 * place);
    return { points: held.map((nats, i) => [[5, 4, 2, 0.5][i]!, nats]), meanValue };
  }
  const least = 2 + own("least");
  const [second, third] = place % 2 === 0 ? [least, 3.5] : [3.5, least];
  const train = arm === LOWEST ? 0.25 : 1 + own("train");
  return {
    points: [[5, 5.5], [4, second], [3, third], [train, 3 + own("end")]],
    meanValue,
  };
};
const RESULTS = trainedResults(SPECS, made);

/** What the points of an arm's runs come to, seed by seed. */
const madeOf = (family: string, arm: string) => places.map((place) => made(family, arm, place));
const ofPoints = (
  family: string,
  arm: string,
  value: (points: readonly MadePoint[], place: number) => number,
) => madeOf(family, arm).map(({ points }, place) => value(points, place));
const leastOf = (family: string, arm: string) =>
  ofPoints(family, arm, (points) => Math.min(...points.map(([, heldOut]) => heldOut)));
const finalOf = (family: string, arm: string) =>
  ofPoints(family, arm, (points) => points.at(-1)![1]);
const trainOf = (family: string, arm: string) =>
  ofPoints(family, arm, (points) => points.at(-1)![0]);
const meanOfMade = (family: string, arm: string) =>
  mean(madeOf(family, arm).map(({ meanValue }) => meanValue!));
const minus = (a: readonly number[], b: readonly number[]) => a.map((value, i) => value - b[i]!);

const bounded = (values: readonly number[]) =>
  `${mean(values).toFixed(3)} ± ${halfWidth(values).toFixed(3)}`;
/** The steps of the least of four evaluations in 100 steps, or in fewer. */
const stepsOf = (arm: string) => {
  const shares = arm === "plain" ? [0.5, 0.5, 0.5] : [0.5, 0.75, 0.5];
  return shares.map((share) => share * (arm === "plain, few steps" ? EARLY_STEPS : 100));
};

/** A run on small data with these evaluations at steps 25, 50 … */
function curve(points: readonly MadePoint[]): RunResult {
  const spec = SPECS.find(({ family, arm }) => family === "text" && arm === "plain")!;
  return trainedResults([spec], () => ({ points }))[0]!;
}

/** The same of several seeds. */
function armOf(...curves: readonly (readonly MadePoint[])[]): ArmSummary {
  const runs = curves.map(curve);
  return { family: "text", layout: "padded", arm: "plain", seeds: [...runs.keys()], runs };
}

/** Held-out loss falls with training loss, and rises below 2. */
const OVERFITTING: readonly MadePoint[] = [[3, 3.5], [2, 3], [1.5, 3.25], [1, 4]];

Deno.test("gapPoints() are the evaluations of both sides, and of runs with one side none", () => {
  assert.deepEqual(gapPoints(curve(OVERFITTING)), [
    { step: 25, trainNats: 3, heldOutNats: 3.5 },
    { step: 50, trainNats: 2, heldOutNats: 3 },
    { step: 75, trainNats: 1.5, heldOutNats: 3.25 },
    { step: 100, trainNats: 1, heldOutNats: 4 },
  ]);
  const [teacher] = trainedArm(RESULTS, "text", "teacher, all data").runs;
  assert.ok(teacher!.records.some(({ type }) => type === "evaluation"));
  assert.deepEqual(gapPoints(teacher!), []);
});

Deno.test("outcomeOf() is the least held-out loss, where and its gap, losses and gap at the end", () => {
  assert.deepEqual(outcomeOf(curve(OVERFITTING)), {
    leastNats: 3,
    leastStep: 50,
    leastGapNats: 1,
    finalNats: 4,
    trainNats: 1,
    gapNats: 3,
  });
  // Of equal ones the first: nobody trains on for nothing.
  const flat: MadePoint[] = [[3, 3], [2, 2.5], [1, 2.5]];
  const { leastStep, leastGapNats, gapNats } = outcomeOf(curve(flat));
  assertNear(leastStep, 200 / 3, "step");
  assert.equal(leastGapNats, 0.5);
  assert.equal(gapNats, 1.5);
});

Deno.test("outcomeOf() names a run that did not evaluate its training windows", () => {
  const [teacher] = trainedArm(RESULTS, "text", "teacher, all data").runs;
  assert.throws(
    () => outcomeOf(teacher!),
    new RangeError(
      "text, teacher, all data 0: expected evaluations of training windows too",
    ),
  );
});

Deno.test("smallDataArms() are a family's arms but teachers, in the order of the runs", () => {
  assert.deepEqual(
    armsOf(RESULTS, "text").map(({ arm }) => arm),
    ["teacher, all data", "teacher, the other text", "teacher, the subset", ...TEXT_ARMS],
  );
  assert.deepEqual(smallDataArms(RESULTS, "text").map(({ arm }) => arm), TEXT_ARMS);
  assert.deepEqual(smallDataArms(RESULTS, "all of the text"), []);
  for (const { family, runs } of smallDataArms(RESULTS, "text")) {
    assert.equal(family, "text");
    assert.deepEqual(runs.map(({ config }) => config.spec.training.seed), seeds);
  }
});

Deno.test("trainedArm() is of its family, whatever its layout, and named where there is none", () => {
  for (const [family, layout] of [["text", "padded"], ["known source", "packed"]] as const) {
    const found = trainedArm(RESULTS, family, "plain");
    assert.deepEqual([found.family, found.arm, found.layout], [family, "plain", layout]);
    assert.deepEqual(found.seeds, seeds);
  }
  assert.throws(
    () => trainedArm(RESULTS, "text", "CE·[CE > e]"),
    (error) =>
      error instanceof RangeError && error.message.startsWith('no arm "CE·[CE > e]" of text'),
  );
});

Deno.test("stoppedByOthers() are losses where the mean of the other seeds' is least", () => {
  const heldOut = (...nats: readonly number[]) => nats.map((nat): MadePoint => [1, nat]);
  const curves = [heldOut(5, 3, 2, 4), heldOut(5, 2, 3.5, 4), heldOut(5, 2.5, 2.75, 1)];
  // Means of the others: 5, 2.25, 3.125, 2.5; 5, 2.75, 2.375, 2.5; 5, 2.5, 2.75, 4.
  assert.deepEqual(stoppedByOthers(armOf(...curves)), [3, 3.5, 2.5]);
  assert.deepEqual(stoppedByOthers(armOf(...curves.slice(0, 2))), [3, 3.5]);
  // Of equal ones the first.
  assert.deepEqual(stoppedByOthers(armOf(heldOut(5, 4, 3), heldOut(5, 2, 2))), [4, 2]);
  // A single seed has no others.
  assert.deepEqual(stoppedByOthers(armOf(curves[0]!)), [2]);
});

Deno.test("outcomes() are one number of an outcome, seed by seed", () => {
  const arm = trainedArm(RESULTS, "text", "|CE − e|");
  assert.deepEqual(outcomes(arm, "leastNats"), leastOf("text", "|CE − e|"));
  assert.deepEqual(outcomes(arm, "leastStep"), stepsOf("|CE − e|"));
  assert.deepEqual(outcomes(arm, "finalNats"), finalOf("text", "|CE − e|"));
});

Deno.test("gapAtTrainLoss() lies on a straight line between evaluations", () => {
  const run = curve(OVERFITTING);
  for (
    const [trainNats, heldOutNats] of [
      [2.5, 3.25],
      [2.2, 3.1],
      [2, 3],
      [1.75, 3.125],
      [1.25, 3.625],
      [1, 4],
    ] as const
  ) {
    const gap = gapAtTrainLoss(run, trainNats);
    assertNear(gap!, heldOutNats - trainNats, `at ${trainNats}`);
  }
});

Deno.test("gapAtTrainLoss() is null where a run never was: too low, or passed before it was evaluated", () => {
  assert.equal(gapAtTrainLoss(curve(OVERFITTING), 0.99), null);
  assert.equal(gapAtTrainLoss(curve(OVERFITTING), 3.01), null);
});

Deno.test("gapAtTrainLoss() is of the first time that a run comes so low", () => {
  const back: MadePoint[] = [[3, 4], [2, 3], [2.5, 9], [1, 5]];
  assertNear(gapAtTrainLoss(curve(back), 2.2)!, 3.2 - 2.2, "before it rises");
  assertNear(gapAtTrainLoss(curve(back), 1.9)!, 9 - 0.4 * 4 - 1.9, "after it rose");
});

Deno.test("gapDifferences() are against plain training of the seed, null if one never came so low", () => {
  const rising = OVERFITTING.map(([train, heldOut]): MadePoint => [train, heldOut + 1]);
  const plain = armOf(OVERFITTING, rising);
  const arm = armOf([[3, 3.5], [1.75, 3]], [[3, 3.5], [1.25, 3]]);
  const found = gapDifferences(arm, plain)!;
  assert.equal(found.length, 2);
  assertNear(found[0]!, 3 - 3.125, "first seed");
  assertNear(found[1]!, 3 - 4.625, "second seed");
  assert.equal(gapDifferences(armOf([[3, 3.5], [1.75, 3]], [[3, 3.5], [0.5, 3]]), plain), null);
});

Deno.test("meanValues() are what losses are compared with, seed by seed, none of plain training", () => {
  const found = meanValues(trainedArm(RESULTS, "text", "|CE − e|"));
  assert.deepEqual(found, madeOf("text", "|CE − e|").map(({ meanValue }) => meanValue));
  assert.deepEqual(meanValues(trainedArm(RESULTS, "text", "plain")), []);
});

Deno.test("outcomeTable() has losses, gap and gain of every arm, with intervals over seeds", () => {
  for (const family of ["text", "known source", "known source, 64 sequences", "corrupted copy"]) {
    const table = outcomeTable(RESULTS, family);
    const arms = smallDataArms(RESULTS, family);
    assert.deepEqual(table.map(({ arm }) => arm), arms.map(({ arm }) => arm));
    const stopped = leastOf(family, "plain");
    table.forEach((row, i) => {
      const { arm } = arms[i]!;
      const [train, final] = [trainOf(family, arm), finalOf(family, arm)];
      const hasTeacher = arms[i]!.runs[0]!.config.spec.teacher !== undefined;
      const near = (column: string, expected: number | null) => {
        if (expected === null) return assert.equal(row[column], null, `${arm}: ${column}`);
        assertNear(row[column] as number, expected, `${arm}: ${column}`);
      };
      near("mean e", hasTeacher ? meanOfMade(family, arm) : null);
      near("train, end", mean(train));
      near("gap, end", mean(minus(final, train)));
      const plainGaps = train.map((nats, place) => 5 + 0.1 * place - 1.5 * nats);
      near(
        "gap − plain's at equal train loss",
        arm === "plain" || arm === LOWEST ? null : mean(minus(minus(final, train), plainGaps)),
      );
      assert.deepEqual(
        [row["held-out, least"], row["at step"], row["held-out, end"]],
        [bounded(leastOf(family, arm)), Math.round(mean(stepsOf(arm))), bounded(final)],
        arm,
      );
      assert.equal(row["end against stopped plain"], signedMean(minus(stopped, final)), arm);
    });
  }
});

Deno.test("tables of one seed have no intervals", () => {
  const results = firstSeed(RESULTS);
  const plain = outcomeTable(results, "text").find(({ arm }) => arm === "plain");
  assert.equal(plain!["held-out, least"], "3.000");
  assert.equal(plain!["held-out, end"], "4.750");
  assert.equal(plain!["end against stopped plain"], "−1.750");
  for (const bar of gainBars(results, "text")) assert.equal("interval" in bar, false);
  for (const row of [...weightTable(results), ...excessTable(results, "known source")]) {
    assert.doesNotMatch(JSON.stringify(row), /±/);
  }
});

Deno.test("signed() has the sign, and half the width of an interval that has one", () => {
  assert.equal(signed({ mean: 0.25, low: 0.2, high: 0.3 }), "+0.250 ± 0.050");
  assert.equal(signed({ mean: -1.5, low: -2.5, high: -0.5 }), "−1.500 ± 1.000");
  assert.equal(signed({ mean: -1.5, low: -1.5, high: -1.5 }), "−1.500");
  assert.equal(signed({ mean: 0, low: 0, high: 0 }), "+0.000");
});

Deno.test("gainBars() are what arms gain on stopped plain training, at their least and at the end", () => {
  const stopped = leastOf("text", "plain");
  const expected = TEXT_ARMS.filter((arm) => arm !== "plain").flatMap((group) => [
    { group, arm: "stopped at its least held-out loss", losses: leastOf("text", group) },
    { group, arm: "at the end", losses: finalOf("text", group) },
  ]);
  const bars = gainBars(RESULTS, "text");
  assert.equal(bars.length, expected.length);
  bars.forEach(({ group, arm, value, interval }, i) => {
    const { losses, ...names } = expected[i]!;
    const gains = minus(stopped, losses);
    assert.deepEqual({ group, arm }, names);
    assertNear(value, mean(gains), `${group}, ${arm}`);
    assertNear(interval![0], mean(gains) - halfWidth(gains), `${group}, ${arm}: low`);
    assertNear(interval![1], mean(gains) + halfWidth(gains), `${group}, ${arm}: high`);
  });
});

Deno.test("weightTable() compares compression with and without weights, in nats and bits per byte", () => {
  const family = "all of the text";
  const table = weightTable(RESULTS);
  const arms = ["plain", "weight 1 − e", "weight 1 − e, e shuffled"];
  assert.deepEqual(table.map(({ arm }) => arm), arms);
  table.forEach((row, i) => {
    const losses = finalOf(family, arms[i]!);
    assert.equal(row["held-out loss (nats/token)"], bounded(losses));
    // Made-up tokens have 3.92 bytes.
    assertNear(row["bits per byte"] as number, mean(losses) / Math.LN2 / 3.92, arms[i]!);
    assert.equal(
      row["loss − plain's"],
      i === 0 ? "" : signedMean(minus(losses, finalOf(family, "plain"))),
    );
    if (i === 0) assert.equal(row["mean e"], null);
    else assertNear(row["mean e"] as number, meanOfMade(family, arms[i]!), "mean e");
  });
});

Deno.test("excessTable() is what models lose to the truth; of all data at the end alone", () => {
  for (const family of ["known source", "known source, all data", "corrupted copy"]) {
    const table = excessTable(RESULTS, family);
    const arms = armsOf(RESULTS, family);
    assert.deepEqual(table.map(({ arm }) => arm), arms.map(({ arm }) => arm));
    const truths = seeds.map(() => SURPRISAL[family]!);
    table.forEach((row, i) => {
      const { arm, runs } = arms[i]!;
      const hasTeacher = runs[0]!.config.spec.teacher !== undefined;
      if (!hasTeacher) assert.equal(row["mean e"], null, arm);
      else assertNear(row["mean e"] as number, meanOfMade(family, arm), arm);
      assert.equal(row["excess, end"], bounded(minus(finalOf(family, arm), truths)), arm);
      if (family === "known source, all data") {
        return assert.deepEqual(Object.keys(row), ["arm", "mean e", "excess, end"]);
      }
      assertNear(row["train, end"] as number, mean(trainOf(family, arm)), arm);
      assert.equal(row["excess, least"], bounded(minus(leastOf(family, arm), truths)), arm);
      assert.equal(row["at step"], Math.round(mean(stepsOf(arm))), arm);
    });
  }
  assert.throws(
    () => excessTable(RESULTS, "text"),
    new RangeError("text, teacher, all data 0: expected a run on a source of known entropy"),
  );
});
