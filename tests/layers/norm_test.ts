import assert from "node:assert/strict";
import { initLayerNorm, initRmsNorm } from "../../lib/layers/mod.ts";
import { onEveryBackend } from "../_backends.ts";
import { read } from "../_numbers.ts";

onEveryBackend("initLayerNorm() and initRmsNorm() start as plain normalizations", async () => {
  const layer = initLayerNorm(3);
  assert.deepEqual([...await read(layer.weight)], [1, 1, 1]);
  assert.deepEqual([...await read(layer.bias)], [0, 0, 0]);
  const rms = initRmsNorm(2);
  assert.deepEqual(Object.keys(rms), ["weight"]);
  assert.deepEqual([...await read(rms.weight)], [1, 1]);
}, { only: ["cpu"] });
