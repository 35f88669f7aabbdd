import assert from "node:assert/strict";
import { compress, layoutRounds, planFile } from "../../lib/codec/mod.ts";
import { mapTree, mul, tensor, transpose } from "../../lib/engine/mod.ts";
import { predictFile } from "../../lib/measure/mod.ts";
import {
  type AugmentedDecoder,
  type BackboneConfig,
  encodeSequence,
  type Model,
  type ModelConfig,
  modelLogits,
} from "../../lib/models/mod.ts";
import {
  parseQuantization,
  readEmbeddings,
  sharedScalesOf,
  storeEmbeddings,
} from "../../lib/qat/mod.ts";
import { trainTokenizer } from "../../lib/tokenizer/mod.ts";
import { onEveryBackend } from "../_backends.ts";
import { read } from "../_numbers.ts";
import { livelyModel, mixer, transformer } from "../models/_tiny.ts";

const TEXT =
  "the state of the union is strong, and the state of the states of the union. ".repeat(6) +
  "the state of the states of the union";
const TOKENIZER = trainTokenizer([TEXT], { vocabSize: 340 });
const { vocabSize } = TOKENIZER;
const ORIGINAL = new TextEncoder().encode(TEXT);
const IDS = TOKENIZER.encodeBytes(ORIGINAL);
const LENGTH = 6;
const P = 3;

const sized = (config: BackboneConfig) => ({ ...config, vocabSize });
const CLM = { kind: "causal", backbone: sized(transformer(LENGTH)) } as const;
const EEM = {
  kind: "augmented",
  memory: "embedding",
  encoder: sized(mixer(LENGTH)),
  decoder: sized(transformer(LENGTH + 1)),
  embeddingSize: P,
} as const;
const options = { batchSize: 4 };

/** A model that finds all tokens alike, or with a share of 1/20 nearly so. */
function indifferent(config: ModelConfig, share = 0): Model {
  return mapTree(livelyModel(config), (leaf) => mul(leaf, share));
}

onEveryBackend(
  "predictFile() counts log2 V a token, or 8 bits a byte where they are less",
  async () => {
    const lengths = Array.from({ length: vocabSize }, (_, id) => TOKENIZER.tokenBytes(id).length);
    const longer = lengths.reduce((sum, length) => sum + (length > 0 ? 256 ** -length : 0), 0);
    for (const overlap of [0, 1, 3]) {
      const plan = planFile(CLM, IDS.length, { overlap, lanes: 3 });
      const { bits, fileBytes } = await predictFile(
        { config: CLM, params: indifferent(CLM), tokenizer: TOKENIZER },
        IDS,
        plan,
        options,
      );
      const windows = layoutRounds({
        tokenCount: IDS.length,
        laneCount: 3,
        contextLength: LENGTH,
        overlap,
      }).flat();
      const expected = { firstTokens: 0, tokens: 0, raw: 0 };
      for (const { start, known, end } of windows) {
        const ids = [...IDS.subarray(known, end)];
        const raw = ids.reduce((sum, id) => sum + 8 * lengths[id]! + Math.log2(longer), 0);
        if (raw < ids.length * Math.log2(vocabSize)) {
          expected.raw += raw;
          continue;
        }
        const first = known === start ? 1 : 0;
        expected.firstTokens += first * Math.log2(vocabSize);
        expected.tokens += (ids.length - first) * Math.log2(vocabSize);
      }
      assert.ok(expected.tokens > 0, `${overlap}`);
      for (const part of ["firstTokens", "tokens", "raw"] as const) {
        const difference = Math.abs(bits[part] - expected[part]);
        assert.ok(difference < 1e-4 * (1 + expected[part]), `${part}, ${overlap}: ${bits[part]}`);
      }
      assert.deepEqual([bits.header, bits.scales, bits.embeddings], [512, 0, 0]);
      const sum = Object.values(bits).reduce((sum, part) => sum + part, 0);
      assert.equal(fileBytes, sum / 8);
    }
  },
  { only: ["tensorflow graph", "wasm"] },
);

/** The bits of one window's tokens from `known` on, in float64 from logits of a batch of one. */
async function windowBits(
  config: ModelConfig,
  params: Model,
  ids: Int32Array,
  known: number,
  zP: Float32Array | null,
): Promise<number> {
  const idsNB = tensor(ids, [ids.length, 1], "int32");
  const hook = zP && (() => tensor(zP, [1, P]));
  const logits = await read(
    modelLogits(config, params, idsNB, { padId: null, ...(hook && { hook }) }),
  );
  let bits = 0;
  for (let t = Math.max(known, 1); t < ids.length; t++) {
    const row = [...logits.subarray((t - 1) * vocabSize, t * vocabSize)];
    const sum = row.reduce((sum, logit) => sum + Math.exp(logit), 0);
    bits += Math.log2(sum) - row[ids[t]!]! / Math.LN2;
  }
  return bits;
}

onEveryBackend("predictFile() adds up the losses of every window's new tokens", async () => {
  const params = livelyModel(EEM);
  for (const [name, overlap] of [["int4/channel", 1], ["int8/tensor", 0], ["fp16", 2]] as const) {
    const embedding = parseQuantization(name);
    const plan = planFile(EEM, IDS.length, { overlap, lanes: 2, embedding });
    const { bits } = await predictFile(
      { config: EEM, params, tokenizer: TOKENIZER },
      IDS,
      plan,
      options,
    );
    const windows = layoutRounds({
      tokenCount: IDS.length,
      laneCount: 2,
      contextLength: LENGTH,
      overlap,
    }).flat();
    const encode = async (ids: Int32Array): Promise<Float32Array> =>
      await read(encodeSequence(
        EEM,
        params as AugmentedDecoder,
        transpose(tensor(ids, [1, ids.length], "int32")),
        null,
      ));
    const values = new Float32Array(windows.length * P);
    for (const [row, { start, end }] of windows.entries()) {
      values.set(await encode(IDS.subarray(start, end)), row * P);
    }
    const scales = sharedScalesOf(values, P, embedding);
    const shared = scales.length === 0 ? undefined : scales;
    const stored = storeEmbeddings(values, P, embedding, shared);
    const rounded = readEmbeddings(stored, P, embedding, shared);
    let expected = 0;
    for (const [row, { start, known, end }] of windows.entries()) {
      const zP = rounded.subarray(row * P, (row + 1) * P);
      expected += await windowBits(EEM, params, IDS.subarray(start, end), known - start, zP);
    }
    assert.equal(bits.embeddings, 8 * stored.length, name);
    assert.equal(bits.scales, 32 * scales.length, name);
    assert.ok(Math.abs(bits.tokens / expected - 1) < 1e-5, `${name}: ${bits.tokens}, ${expected}`);
  }
}, { only: ["tensorflow graph", "wasm"] });

onEveryBackend(
  "predictFile() gives the length of real files within 0.1 % and two bytes",
  async () => {
    for (const config of [CLM, EEM]) {
      const params = livelyModel(config);
      const { file, report } = await compress(
        { config, params, tokenizer: TOKENIZER, hash: "ab".repeat(32) },
        ORIGINAL,
        { lanes: 2 },
      );
      assert.equal(report.isStored, false, config.kind);
      assert.equal(report.rawWindows, 0, config.kind);
      const plan = planFile(config, IDS.length, { lanes: 2 });
      const { fileBytes } = await predictFile(
        { config, params, tokenizer: TOKENIZER },
        IDS,
        plan,
        options,
      );
      const difference = Math.abs(file.length - fileBytes);
      // Flags and the last byte's rest are not predicted.
      const flags = report.bits.flags / 8 + 1;
      assert.ok(difference < 0.001 * file.length + flags, `${config.kind}: ${difference}`);
    }
  },
  { only: ["tensorflow graph", "wasm"] },
);

onEveryBackend("predictFile() reads a text that is shorter than a window", async () => {
  const params = livelyModel(EEM);
  const ids = IDS.subarray(0, 3).slice();
  const plan = planFile(EEM, ids.length);
  const { bits } = await predictFile(
    { config: EEM, params, tokenizer: TOKENIZER },
    ids,
    plan,
    options,
  );
  assert.equal(bits.firstTokens, Math.log2(vocabSize));
  assert.ok(bits.tokens > 0 && Number.isFinite(bits.tokens));
}, { only: ["wasm"] });
