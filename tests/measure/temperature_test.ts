/** The loss with a fitted temperature, against cross-entropies of divided logits on the host. */

import assert from "node:assert/strict";
import { mul } from "../../lib/engine/mod.ts";
import { temperedLoss } from "../../lib/measure/mod.ts";
import { onEveryBackend } from "../_backends.ts";
import type { WindowIds } from "../../lib/text/mod.ts";
import { estimated, refusalOf, windowsOf } from "../entropy/_estimated.ts";
import { AUGMENTED, CAUSAL, LENGTH, tinyIds } from "../models/_tiny.ts";
import { hostLoss, PADDED, tensorCounts, WINDOWS } from "./_rounded.ts";

const READ = { fitOn: WINDOWS, windows: WINDOWS, batchSize: 2 };

/** What a model's logits are multiplied by, so that it is too sure. */
const SURE = 4;

function overSure(config: Parameters<typeof estimated>[0], padId: number | null = null) {
  const head = config.kind === "causal" ? "head" : "decoder.head";
  const divided = (temperature: number) => (logits: Float32Array) =>
    logits.map((logit) => SURE * logit / temperature);
  return {
    model: estimated(config, padId),
    hooks: { [head]: { output: (y: Parameters<typeof mul>[0]) => mul(y, SURE) } },
    divided,
  };
}

/** Of some random windows the one that a random model happens to predict best. */
async function predictedWindow(
  { model, divided }: ReturnType<typeof overSure>,
): Promise<WindowIds> {
  const windows = Array.from(
    { length: 200 },
    (_, seed) => windowsOf(tinyIds(LENGTH, seed).slice(0, LENGTH)),
  );
  const losses = await Promise.all(windows.map((one) => hostLoss(model, one, divided(SURE))));
  return windows[losses.indexOf(Math.min(...losses))]!;
}

onEveryBackend("temperedLoss() fits the temperature on other windows", async () => {
  for (
    const [config, padId] of [[CAUSAL["transformer CLM"]!, null], [
      AUGMENTED["mixer EEM"]!,
      0,
    ]] as const
  ) {
    const sure = overSure(config, padId);
    const { model, hooks, divided } = sure;
    const windows = padId === null ? WINDOWS : PADDED;
    const fitOn = await predictedWindow(sure);
    const read = { fitOn, windows, batchSize: 2, hooks };
    const { temperature, lossNats } = await temperedLoss(model, read);
    const fitAt = async (at: number) => await hostLoss(model, fitOn, divided(at));
    const least = await fitAt(temperature);
    for (const factor of [0.9, 1.1, 0.5, 2]) {
      assert.ok(
        await fitAt(factor * temperature) > least,
        `${temperature} against ${factor} of it`,
      );
    }
    assert.ok(temperature > 1.5, "the logits are too large");
    const expected = await hostLoss(model, windows, divided(temperature));
    assert.ok(Math.abs(lossNats - expected) < 1e-5, `${lossNats}, ${expected}`);
  }
}, { only: ["tensorflow graph", "wasm"] });

onEveryBackend(
  "temperedLoss() leaves no tensors behind and refuses what has no logits",
  async () => {
    const { model } = overSure(CAUSAL["transformer CLM"]!);
    await temperedLoss(model, READ);
    const before = tensorCounts();
    await temperedLoss(model, READ);
    assert.deepEqual(tensorCounts(), before);
    const { backbone } = CAUSAL["transformer CLM"]!;
    const second = estimated({ kind: "second-order", backbone, shift: false });
    assert.match(
      await refusalOf(() => temperedLoss(second, READ)),
      /^a temperature: expected a model with logits, found a second-order one$/,
    );
  },
  { only: ["wasm"] },
);
