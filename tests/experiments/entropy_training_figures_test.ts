import assert from "node:assert/strict";
import {
  gapBound,
  gapFigureRows,
  overfittingCurves,
} from "../../lib/experiments/entropy_training_figures.ts";
import { createRandom } from "../../lib/random.ts";
import {
  type MadePoint,
  type MadeRun,
  PRESET,
  SPECS,
  SURPRISAL,
  trainedResults,
} from "./_entropy_training.ts";
import { assertNear } from "./_made_runs.ts";

const { seeds } = PRESET;

/** Two evaluations of every run, no number twice. */
const made: MadeRun = (family, arm, place) => {
  const random = createRandom(8).stream([family, arm, place].join());
  const point = (): MadePoint => [1 + random.uniform(), 2 + random.uniform()];
  return { points: [point(), point()] };
};
const RESULTS = trainedResults(SPECS, made);

Deno.test("overfittingCurves() are both losses against epochs, a panel each, arms as named", () => {
  const names = ["|CE − e|", "plain"];
  const curves = overfittingCurves(RESULTS, "text", names);
  const { batchSize, steps } = PRESET.text.small;
  // Made-up runs have 9 training windows.
  const epochs = [steps / 2, steps].map((step) => step * batchSize / 9);
  const expected = ([["held-out loss", 1], ["training loss", 0]] as const)
    .flatMap(([facet, side]) =>
      names.flatMap((arm) =>
        seeds.flatMap((seed, place) =>
          made("text", arm, place).points
            .map((point, i) => ({ arm, facet, seed, x: epochs[i]!, y: point[side] }))
        )
      )
    );
  assert.deepEqual(curves, expected);
  assert.throws(() => overfittingCurves(RESULTS, "text", ["nothing"]), /no arm "nothing" of text/);
});

Deno.test("gapFigureRows() are all evaluations on part of the known source: training loss and gap", () => {
  const rows = gapFigureRows(RESULTS);
  const arms = new Set(
    SPECS.filter(({ family }) => family === "known source").map(({ arm }) => arm),
  );
  assert.equal(arms.size, 9);
  const { steps } = PRESET.known.small;
  const expected = [...arms].flatMap((arm) =>
    seeds.flatMap((seed, place) =>
      made("known source", arm, place).points.map(([trainNats, heldOutNats], i) => ({
        arm,
        x: trainNats,
        y: heldOutNats - trainNats,
        label: `seed ${seed}, step ${steps * (i + 1) / 2}`,
      }))
    )
  );
  assert.deepEqual(rows, expected);
});

Deno.test("gapBound() is the gap of a model whose held-out loss is the tokens' surprisal", () => {
  const { slope, intercept, label } = gapBound(RESULTS);
  for (const trainNats of [0.5, 1, 2]) {
    const gap = slope * trainNats + intercept;
    assertNear(gap, SURPRISAL["known source"]! - trainNats, `at ${trainNats}`);
  }
  assert.match(label, /H − training loss/);
});
