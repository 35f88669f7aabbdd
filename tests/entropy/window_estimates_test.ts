import assert from "node:assert/strict";
import { add, cast, memory, slice, tensor } from "../../lib/engine/mod.ts";
import {
  estimateBatches,
  requireKind,
  requireMemory,
  requireWindows,
  windowEstimates,
} from "../../lib/entropy/mod.ts";
import { onEveryBackend } from "../_backends.ts";
import {
  AUGMENTED,
  autoencoder,
  BATCH,
  CAUSAL,
  leftPadded,
  LENGTH,
  mixer,
  PAD,
  refusal,
  tinyIds,
} from "../models/_tiny.ts";
import { estimated, joined, refusalOf, windowsOf } from "./_estimated.ts";

Deno.test("windowEstimates() asks for no first token and no pad", () => {
  const windows = windowsOf(Int32Array.of(5, 6, 7, 8, PAD, PAD, 7, 8, PAD, PAD, PAD, PAD), 4);
  const asked = (window: number, position: number) => 10 * window + position;
  assert.deepEqual(windowEstimates(windows, PAD, asked), [
    [null, 1, 2, 3],
    [null, null, null, 13],
    [null, null, null, null],
  ]);
  assert.deepEqual(windowEstimates(windows, null, asked), [
    [null, 1, 2, 3],
    [null, 11, 12, 13],
    [null, 21, 22, 23],
  ]);
});

onEveryBackend("estimateBatches() puts what predicts a token at its place", async () => {
  const windows = joined(tinyIds(LENGTH, 1), tinyIds(LENGTH, 2), leftPadded(2).slice(LENGTH));
  for (const batchSize of [1, 2, 5, undefined]) {
    const found = await estimateBatches(
      "test",
      estimated(CAUSAL["mixer CLM"], PAD),
      windows,
      (_, idsNB, shiftB) => {
        const outputs = [LENGTH - 1, idsNB.shape[1]!];
        const ids = cast(slice(idsNB, [1, 0], outputs), "float32");
        return { id: ids, shifted: add(ids, shiftB!) };
      },
      {
        batchSize,
        rowInputs: (rows) => {
          assert.ok(rows.every((row) => row < windows.count), "windows that there are");
          return [tensor(rows.map((row) => 100 * row), [rows.length])];
        },
      },
    );
    const predicted = (shift: number) =>
      windowEstimates(
        windows,
        PAD,
        (window, position) => windows.ids[window * LENGTH + position]! + shift * window,
      );
    assert.deepEqual(found, { id: predicted(0), shifted: predicted(100) });
  }
}, { oncePerBackend: true });

onEveryBackend("estimateBatches() frees what it made", async () => {
  const model = estimated(CAUSAL["mixer CLM"]);
  const before = memory().numTensors;
  await estimateBatches(
    "test",
    model,
    windowsOf(tinyIds()),
    (_, idsNB) => ({ id: cast(slice(idsNB, [1, 0], [LENGTH - 1, BATCH]), "float32") }),
    { batchSize: BATCH, rowInputs: (rows) => [tensor([...rows])] },
  );
  assert.equal(memory().numTensors, before);
}, { only: ["tensorflow graph", "wasm"] });

onEveryBackend("estimateBatches() refuse windows of another length, and none", async () => {
  const model = estimated(CAUSAL["mixer CLM"]);
  const run = (windows: Int32Array) =>
    refusalOf(() => estimateBatches("test", model, windowsOf(windows, 4), () => ({})));
  assert.match(await run(new Int32Array(8)), /expected windows of 5 tokens.*found 4/);
  assert.match(await run(new Int32Array(0)), /expected one window or more, found none/);
}, { only: ["cpu"] });

Deno.test("requireWindows() passes the model's context", () => {
  requireWindows(AUGMENTED["transformer EEM"], windowsOf(tinyIds()));
});

Deno.test("requireMemory() refuses models without an embedding of the sample", () => {
  const { decoder } = AUGMENTED["mixer EEM"];
  const zeros = { kind: "augmented", memory: "zeros", decoder } as const;
  const said = (config: Parameters<typeof requireMemory>[0]["config"]) =>
    refusal(() => requireMemory({ config }, "occlusion"));
  assert.match(said(zeros), /^occlusion: expected an encoder-augmented model.*found one of zeros$/);
  assert.match(said(CAUSAL["mixer CLM"]), /found kind causal$/);
  assert.match(said(autoencoder(mixer, mixer, "repeat")), /found kind autoencoder$/);
  const model = { config: AUGMENTED["mixer EEM"] };
  assert.equal(requireMemory(model, "occlusion"), model);
});

Deno.test("requireKind() names what is expected, found, and why", () => {
  requireKind("loss", CAUSAL["mixer CLM"], ["augmented", "causal"], "so it is");
  assert.equal(
    refusal(() => requireKind("loss", AUGMENTED["mixer EEM"], ["causal"], "so it is")),
    "loss: expected a model of kind causal, found augmented; so it is",
  );
});
