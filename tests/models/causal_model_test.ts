import assert from "node:assert/strict";
import {
  add,
  embeddingLookup,
  layerNorm,
  ones,
  rmsNorm,
  slice,
  type Tensor,
  tensor,
  transpose,
  zeros,
} from "../../lib/engine/mod.ts";
import {
  attention,
  type AttentionMask,
  causalAttentionMask,
  causalMask,
  feedForward,
  gatedFeedForward,
  linear,
  maskedMixing,
  rotaryTable,
} from "../../lib/layers/mod.ts";
import { type CausalModel, modelLogits } from "../../lib/models/mod.ts";
import { type Mode, onEveryBackend } from "../_backends.ts";
import { assertClose, read } from "../_numbers.ts";
import { assertCausal, type LogitsOf } from "./_causality.ts";
import { BATCH, CAUSAL, LENGTH, livelyModel, tinyIds } from "./_tiny.ts";

/** The model again, from its layers, with a mask of the test's choice. */
function twinLogits(params: CausalModel, idsTB: Tensor, masks: {
  mixing: Tensor;
  attention: AttentionMask;
}): Tensor {
  let xTBD = embeddingLookup(params.embedding.weight, idsTB);
  if ("finalNorm" in params) {
    const rotary = rotaryTable(LENGTH, 4);
    for (const block of params.blocks) {
      const normalTBD = rmsNorm(xTBD, block.norm1.weight);
      xTBD = add(xTBD, attention(block.attention, normalTBD, 2, rotary, masks.attention));
      xTBD = add(xTBD, gatedFeedForward(block.feedForward, rmsNorm(xTBD, block.norm2.weight)));
    }
    xTBD = rmsNorm(xTBD, params.finalNorm.weight);
  } else {
    for (const { norm1, mix, norm2, feedForward: layer } of params.blocks) {
      const normalTBD = layerNorm(xTBD, norm1.weight, norm1.bias);
      xTBD = add(xTBD, maskedMixing(mix, masks.mixing, normalTBD));
      xTBD = add(xTBD, feedForward(layer, layerNorm(xTBD, norm2.weight, norm2.bias)));
    }
  }
  const [length, batch, width] = xTBD.shape as [number, number, number];
  return linear(params.head, slice(xTBD, [0, 0, 0], [length - 1, batch, width]));
}

function logitsWith(mode: Mode, logits: (idsTB: Tensor) => Tensor): LogitsOf {
  const run = mode.compile((idsBN: Tensor) => logits(transpose(idsBN)));
  return (ids) => read(run(tensor(ids, [BATCH, LENGTH], "int32")));
}

for (const [name, config] of Object.entries(CAUSAL)) {
  onEveryBackend(`causalLogits() of a ${name} depend on no later token`, async (mode) => {
    const params = livelyModel(config) as CausalModel;
    const model = logitsWith(
      mode,
      (idsTB) => modelLogits(config, params, idsTB, { padId: null }),
    );
    await assertCausal(model);
  }, { oncePerBackend: true });

  onEveryBackend(`the causality check of a ${name} fails for an unmasked twin`, async (mode) => {
    const params = livelyModel(config) as CausalModel;
    const ids = tinyIds();
    const masked = logitsWith(mode, (idsTB) =>
      twinLogits(params, idsTB, {
        mixing: causalMask(LENGTH),
        attention: causalAttentionMask(LENGTH, null),
      }));
    const model = logitsWith(
      mode,
      (idsTB) => modelLogits(config, params, idsTB, { padId: null }),
    );
    assertClose(await masked(ids), await model(ids), 1e-6, "the twin with the model's mask");
    const unmasked = logitsWith(mode, (idsTB) =>
      twinLogits(params, idsTB, {
        mixing: ones([LENGTH, LENGTH]),
        attention: { bias: zeros([LENGTH, LENGTH]), sees: null },
      }));
    await assert.rejects(() => assertCausal(unmasked), assert.AssertionError);
  }, { oncePerBackend: true });
}
