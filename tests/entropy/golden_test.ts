/** The estimators against an independent PyTorch implementation in float64. */

import assert from "node:assert/strict";
import { readdirSync, readFileSync } from "node:fs";
import {
  type EstimatedModel,
  estimateWindows,
  type EstimatorName,
  padShiftEntropies,
  type WindowEstimates,
} from "../../lib/entropy/mod.ts";
import { checkModelConfig, sampleLength } from "../../lib/models/mod.ts";
import type { WindowIds } from "../../lib/text/mod.ts";
import { onEveryBackend } from "../_backends.ts";
import { loadGolden } from "../models/_golden.ts";
import { assertEstimates, refusalOf, windowsOf } from "./_estimated.ts";

const folder = new URL("../golden/entropy/", import.meta.url);
const BACKENDS = { only: ["tensorflow graph", "wasm"] };
/** Relative to the largest estimate of a model; torch's own float32 is off by up to 2e-6. */
const TOLERANCE = 1e-5;
/** Fills no batch evenly: there are five windows. */
const batchSize = 3;

/** Whose embeddings of all prefixes one encoder pass gives: causal, rotary, read at the end. */
const WITH_FAST_FORM = [
  "transformer_eem",
  "transformer_eem_embedding_join",
  "transformer_eem_equal_widths",
  "transformer_eem_linear_join",
];

/** A configuration, and the golden model whose weights it takes. */
type Side = Readonly<{ model: unknown; weights: string }>;

type GoldenEstimates = Readonly<{
  windows: readonly (readonly number[])[];
  padId: number;
  estimates: Readonly<Partial<Record<EstimatorName, WindowEstimates>>>;
}>;

function readGolden<Models>(name: string): GoldenEstimates & Models {
  return JSON.parse(readFileSync(new URL(`${name}.json`, folder), "utf8"));
}

function modelOf({ model, weights }: Side, padId: number | null): EstimatedModel {
  return {
    config: checkModelConfig(model, weights),
    params: loadGolden(weights).weights(),
    padId,
  };
}

function goldenWindows({ windows }: GoldenEstimates): WindowIds {
  return windowsOf(Int32Array.from(windows.flat()), windows[0]!.length);
}

const names = readdirSync(folder).map((file) => file.replace(".json", "")).sort();
const pairs = names.filter((name) => name.startsWith("two_window"));
const models = names.filter((name) => !pairs.includes(name));

Deno.test("golden estimates are there: of models with a fast form, of others, of pairs", () => {
  assert.deepEqual(WITH_FAST_FORM.filter((name) => !models.includes(name)), []);
  assert.equal(models.length, 14);
  assert.equal(pairs.length, 3);
});

for (const name of models) {
  const golden = readGolden<Side>(name);
  const { "pad-shift": padShift, ...estimates } = golden.estimates;
  const estimators = Object.keys(estimates).filter((name) => name !== "pad-shift-reference");

  onEveryBackend(`estimateWindows() of ${name} agrees with PyTorch`, async () => {
    const model = modelOf(golden, golden.padId);
    for (const estimator of estimators as EstimatorName[]) {
      const found = await estimateWindows(estimator, model, goldenWindows(golden), { batchSize });
      assertEstimates(found, golden.estimates[estimator]!, TOLERANCE, estimator);
    }
  }, BACKENDS);

  if (padShift === undefined) continue;

  onEveryBackend(`padShiftEntropies() of ${name} agrees with PyTorch in every form`, async () => {
    const model = modelOf(golden, golden.padId);
    const run = (form: "plain" | "fast") =>
      padShiftEntropies(model, goldenWindows(golden), { form, batchSize });
    assertEstimates(await run("plain"), padShift, TOLERANCE, "plain");
    if (WITH_FAST_FORM.includes(name)) {
      assertEstimates(await run("fast"), padShift, TOLERANCE, "fast");
    } else {
      assert.match(await refusalOf(() => run("fast")), /use the plain form/);
    }
  }, BACKENDS);
}

for (const name of pairs) {
  onEveryBackend(`twoWindowEntropies() of ${name} agrees with PyTorch`, async () => {
    const golden = readGolden<{ longer: Side; shorter: Side }>(name);
    const longer = modelOf(golden.longer, null);
    const shorter = modelOf(golden.shorter, null);
    assert.equal(sampleLength(longer.config), sampleLength(shorter.config) + 1);
    const found = await estimateWindows("two-window", longer, goldenWindows(golden), {
      batchSize,
      shorter,
    });
    assertEstimates(found, golden.estimates["two-window"]!, TOLERANCE, name);
  }, BACKENDS);
}
