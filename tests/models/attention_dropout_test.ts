/** Attention dropout of causal transformers (paper §5.2), against PyTorch in float64. */

import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import {
  namedLeaves,
  type Tensor,
  tensor,
  transpose,
  valueAndGradient,
} from "../../lib/engine/mod.ts";
import {
  checkAttentionDropout,
  hiddenStates,
  initBackbone,
  initModel,
  meanLoss,
  type Model,
  type ModelConfig,
  modelLogits,
  tokenLosses,
} from "../../lib/models/mod.ts";
import { createRandom } from "../../lib/random.ts";
import { parseSafetensors } from "../../lib/train/safetensors.ts";
import { onEveryBackend } from "../_backends.ts";
import { assertClose, read } from "../_numbers.ts";
import { loadGolden } from "./_golden.ts";
import {
  BATCH,
  CAUSAL,
  LENGTH,
  livelyModel,
  lstm,
  mixer,
  refusal,
  TINY_MODELS,
  tinyIds,
  transformer,
} from "./_tiny.ts";

const folder = new URL("../golden/attention_dropout/", import.meta.url);

const seedOf = (seed: readonly number[]) => tensor([...seed], [2], "int32");

for (const name of ["llama_clm", "transformer_clm_learned_positions"]) {
  onEveryBackend(
    `tokenLosses() and gradient of ${name} with attention dropout agree with PyTorch`,
    async (mode) => {
      const golden = loadGolden(name);
      const { rate, seed } = JSON.parse(readFileSync(new URL(`${name}.json`, folder), "utf8"));
      const file = readFileSync(new URL(`${name}.safetensors`, folder));
      const { tensors } = parseSafetensors(file, name);
      const run = mode.compile((params: Model, idsBN: Tensor, seed: Tensor) => {
        const losses = (params: Model) => {
          const options = { padId: golden.padId, attentionDropout: { rate, seed } };
          return tokenLosses(golden.config, params, idsBN, options);
        };
        const ofMean = valueAndGradient((params) => meanLoss(losses(params)), params);
        return { ...losses(params), ...ofMean };
      });
      const result = run(golden.weights(), golden.batch(0).idsBN, seedOf(seed));
      const lossBT = tensors.get("tokenLosses")!;
      const expected = await read(transpose(tensor(lossBT.data, [...lossBT.shape])));
      assertClose(await read(result.lossTB), expected, 3e-6, "losses");
      assertClose(await read(result.value), tensors.get("loss")!.data, 1e-6, "mean loss");
      for (const { name, tensor } of namedLeaves(result.gradient)) {
        const expected = tensors.get(`gradients/${name}`)!.data;
        assertClose(await read(tensor), expected, 1e-6, `gradient of ${name}`);
      }
      run.dispose();
    },
  );
}

onEveryBackend("tokenLosses() repeat with the seed of their dropout alone", async (mode) => {
  const config = CAUSAL["transformer CLM"];
  const params = livelyModel(config);
  const run = mode.compile((idsBN: Tensor, seed: Tensor) =>
    tokenLosses(config, params, idsBN, { padId: null, attentionDropout: { rate: 0.3, seed } })
      .lossTB
  );
  const idsBN = tensor(tinyIds(), [BATCH, LENGTH], "int32");
  const losses = async (...seed: [number, number]) => (await read(run(idsBN, seedOf(seed)))).join();
  const seeds: [number, number][] = [[4, 9], [5, 9], [4, 10], [9, 4]];
  const first = [];
  for (const seed of seeds) first.push(await losses(...seed));
  assert.equal(new Set(first).size, seeds.length);
  for (const [index, seed] of seeds.entries()) assert.equal(await losses(...seed), first[index]);
  run.dispose();
});

const SECOND_ORDER = {
  kind: "second-order",
  backbone: transformer(LENGTH),
  shift: false,
} as const;

const WITHOUT_DROPOUT: Record<string, ModelConfig> = {
  ...TINY_MODELS,
  "second-order model": SECOND_ORDER,
};
delete WITHOUT_DROPOUT["transformer CLM"];

onEveryBackend("models without attention dropout refuse it", () => {
  const idsBN = tensor(tinyIds(), [BATCH, LENGTH], "int32");
  const attentionDropout = { rate: 0.1, seed: seedOf([1, 2]) };
  for (const [name, config] of Object.entries(WITHOUT_DROPOUT)) {
    const found = config.kind === "causal"
      ? `a causal model of architecture ${config.backbone.architecture}`
      : `a model of kind ${config.kind}`;
    const message = "attention dropout: expected a causal model of architecture transformer, " +
      `found ${found}; leave it out`;
    assert.equal(refusal(() => checkAttentionDropout(config, 0.1)), message, name);
    const params = initModel(config, createRandom(1));
    const options = { padId: null, attentionDropout, valuesBN: idsBN };
    assert.equal(refusal(() => tokenLosses(config, params, idsBN, options)), message, name);
    assert.equal(
      refusal(() => modelLogits(config, params, transpose(idsBN), options)),
      message,
      name,
    );
  }
}, { only: ["cpu"] });

onEveryBackend("hiddenStates() refuse attention dropout of mixers and LSTMs", () => {
  const attentionDropout = { rate: 0.1, seed: seedOf([1, 2]) };
  for (const config of [mixer(LENGTH), lstm(LENGTH)]) {
    const backbone = initBackbone(config, createRandom(1));
    const x = tensor(new Float32Array(LENGTH * BATCH * 8), [LENGTH, BATCH, 8]);
    assert.throws(
      () => hiddenStates(config, backbone, x, null, { attentionDropout }),
      { name: "RangeError", message: "attention dropout can be given to a transformer alone" },
    );
  }
}, { only: ["cpu"] });

onEveryBackend("checkAttentionDropout() refuses rates outside [0, 1)", () => {
  const config = CAUSAL["transformer CLM"];
  for (const rate of [0, 0.1, 0.999]) checkAttentionDropout(config, rate);
  const expected = "attention dropout: expected a rate of at least 0 and below 1, found";
  for (const rate of [-0.1, 1, 1.5, NaN, Infinity]) {
    assert.equal(refusal(() => checkAttentionDropout(config, rate)), `${expected} ${rate}`);
  }
  const options = { padId: null, attentionDropout: { rate: 1, seed: seedOf([1, 2]) } };
  const idsBN = tensor(tinyIds(), [BATCH, LENGTH], "int32");
  const params = livelyModel(config);
  assert.equal(refusal(() => tokenLosses(config, params, idsBN, options)), `${expected} 1`);
}, { only: ["cpu"] });
