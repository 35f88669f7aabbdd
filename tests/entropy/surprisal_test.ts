import assert from "node:assert/strict";
import { disposeTree, memory, tensor } from "../../lib/engine/mod.ts";
import { tokenSurprisals } from "../../lib/entropy/mod.ts";
import { UserError } from "../../lib/errors.ts";
import { type BackboneConfig, type Model, modelLogits } from "../../lib/models/mod.ts";
import { type Tokenizer, trainTokenizer } from "../../lib/tokenizer/mod.ts";
import { onEveryBackend } from "../_backends.ts";
import { read } from "../_numbers.ts";
import { livelyModel } from "../models/_tiny.ts";

const VOCABULARY = 262;
const TEXT = "the state of the union: 🙂 the states and the people — a state, the union.";

const tokenizer = trainTokenizer([TEXT.repeat(3)], { vocabSize: VOCABULARY });

type Architecture = BackboneConfig["architecture"];

function causal(architecture: Architecture, contextLength: number) {
  const shared = { vocabSize: VOCABULARY, contextLength, width: 8, layerCount: 2 };
  const backbone: BackboneConfig = architecture === "mixer"
    ? { architecture, ...shared }
    : { architecture, ...shared, headCount: 2 };
  return { kind: "causal", backbone } as const;
}

type CausalConfig = ReturnType<typeof causal>;

/**
 * −log p of `ids[position]` from one forward over a sample of the `context` tokens before it, the
 * token itself, and arbitrary tokens behind.
 */
async function bruteForce(
  config: CausalConfig,
  params: Model,
  ids: Int32Array,
  position: number,
  context: number,
): Promise<number> {
  const length = config.backbone.contextLength;
  const sample = new Int32Array(length).fill(17);
  sample.set(ids.subarray(position - context, position + 1));
  const logits = modelLogits(config, params, tensor(sample, [length, 1], "int32"), { padId: null });
  const row = (await read(logits)).subarray(
    (context - 1) * VOCABULARY,
    context * VOCABULARY,
  );
  const total = row.reduce((sum, logit) => sum + Math.exp(logit), 0);
  return Math.log(total) - row[ids[position]!]!;
}

/** `tokenizer` with another pad id: what short texts are filled up with. */
function withPadId(padId: number): Tokenizer {
  return Object.create(tokenizer, { padId: { value: padId } });
}

onEveryBackend("tokenSurprisals() equals one forward per token", async () => {
  for (const architecture of ["mixer", "transformer"] as const) {
    for (const length of [5, 8]) {
      const config = causal(architecture, length);
      const params = livelyModel(config);
      const all = tokenizer.encode(TEXT);
      // Shorter than, as long as and longer than one window, with rests of every kind.
      for (const count of [2, length - 1, length, length + 1, 2 * length, 3 * length + 1]) {
        const text = tokenizer.decode(all.subarray(0, count));
        const ids = tokenizer.encode(text);
        const found = await tokenSurprisals(config, params, tokenizer, text);
        assert.deepEqual(found.map((token) => token.id), [...ids]);
        for (const { position, context, lossNats } of found.slice(1)) {
          const expected = await bruteForce(config, params, ids, position, context);
          assert.ok(
            Math.abs(lossNats! - expected) < 1e-4,
            `${architecture}, N = ${length}, token ${position} of ${count}: ${lossNats}, not ${expected}`,
          );
        }
      }
    }
  }
}, { only: ["tensorflow graph", "wasm"] });

onEveryBackend("tokenSurprisals() gives every token once, with N/2 tokens before it", async () => {
  for (const length of [2, 3, 5, 8]) {
    const config = causal("mixer", length);
    const params = livelyModel(config);
    const found = await tokenSurprisals(config, params, tokenizer, TEXT);
    const ids = tokenizer.encode(TEXT);
    assert.ok(ids.length > 4 * length);
    assert.deepEqual(found.map((token) => token.position), [...ids.keys()]);
    assert.equal(found[0]!.lossNats, null);
    assert.equal(found[0]!.context, 0);
    for (const { position, context, lossNats } of found.slice(1)) {
      assert.ok(Number.isFinite(lossNats), `token ${position} has a loss`);
      if (position < length) assert.equal(context, position);
      assert.ok(context >= Math.min(position, length / 2), `token ${position}: ${context}`);
      assert.ok(context < length && context <= position, `token ${position}: ${context}`);
    }
  }
}, { only: ["tensorflow graph"] });

onEveryBackend(
  "tokenSurprisals() does not depend on what a short text is filled with",
  async () => {
    for (const architecture of ["mixer", "transformer"] as const) {
      const config = causal(architecture, 16);
      const params = livelyModel(config);
      for (const text of ["the state", TEXT]) {
        const expected = await tokenSurprisals(config, params, withPadId(1), text);
        for (const padId of [0, 40, VOCABULARY - 1]) {
          const found = await tokenSurprisals(config, params, withPadId(padId), text);
          assert.deepEqual(found, expected);
        }
      }
    }
  },
  { only: ["tensorflow graph", "wasm"] },
);

onEveryBackend("tokenSurprisals() labels tokens, cut characters too", async () => {
  const config = causal("mixer", 8);
  const found = await tokenSurprisals(config, livelyModel(config), tokenizer, "the 🙂");
  const ids = tokenizer.encode("the 🙂");
  assert.deepEqual(
    found.map((token) => token.text),
    Array.from(ids, (id) => tokenizer.tokenText(id)),
  );
  assert.ok(found.some((token) => token.text.includes("\ufffd")));
}, { only: ["cpu"] });

onEveryBackend("tokenSurprisals() frees its tensors", async () => {
  const config = causal("transformer", 8);
  const params = livelyModel(config);
  await tokenSurprisals(config, params, tokenizer, TEXT);
  const before = memory().numTensors;
  await tokenSurprisals(config, params, tokenizer, TEXT);
  assert.equal(memory().numTensors, before);
  disposeTree(params);
}, { only: ["tensorflow graph", "wasm"] });

onEveryBackend(
  "tokenSurprisals() refuses augmented models and texts of under two tokens",
  async () => {
    const config = causal("mixer", 8);
    const params = livelyModel(config);
    for (const [text, count] of [["", 0], ["t", 1]] as const) {
      await assert.rejects(
        tokenSurprisals(config, params, tokenizer, text),
        (error) =>
          error instanceof UserError &&
          error.message === `expected a text of two tokens or more, found ${count}`,
      );
    }
    const decoder = config.backbone;
    await assert.rejects(
      tokenSurprisals({ kind: "augmented", memory: "zeros", decoder }, params, tokenizer, TEXT),
      (error) => error instanceof UserError && /need a causal model, found/.test(error.message),
    );
  },
  { only: ["cpu"] },
);

onEveryBackend("tokenSurprisals() refuses the tokenizer of another model", async () => {
  const config = causal("mixer", 8);
  const params = livelyModel(config);
  // One entry fewer or more: every id of the text may still be one that the model knows.
  for (const size of [VOCABULARY - 1, VOCABULARY + 1]) {
    const other = trainTokenizer([TEXT.repeat(3)], { vocabSize: size });
    assert.equal(other.vocabSize, size);
    await assert.rejects(
      tokenSurprisals(config, params, other, TEXT),
      (error) =>
        error instanceof UserError &&
        error.message ===
          `expected the model's tokenizer, of ${VOCABULARY} entries, found one of ${size}`,
    );
  }
}, { only: ["cpu"] });
