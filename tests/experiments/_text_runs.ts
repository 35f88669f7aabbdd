/** Folders of finished runs on text, made without training: their weights are drawn. */

import { join } from "node:path";
import { disposeTree } from "../../lib/engine/mod.ts";
import type { EstimatorName } from "../../lib/entropy/mod.ts";
import type { RunConfig } from "../../lib/experiments/mod.ts";
import { writeFileAtomically } from "../../lib/files.ts";
import type { BackboneConfig, ModelConfig } from "../../lib/models/mod.ts";
import type { Layout } from "../../lib/text/mod.ts";
import { type BpeTokenizer, formatTokenizer, trainTokenizer } from "../../lib/tokenizer/mod.ts";
import { formatSafetensors } from "../../lib/train/safetensors.ts";
import { storeTree } from "../../lib/train/weights.ts";
import { livelyModel } from "../models/_tiny.ts";
import { tinySpec } from "./_tiny.ts";

export const OWN_TEXT =
  "the state of the union: 🙂 the states\nand the people — a state, the union.";

/** What files may get wrong: characters of two to four bytes, line ends and separators. */
export const HARD_TEXT =
  'the café — naïve, "é";\r\nthe e\u0301tat: 👩\u200d🚀🇫🇷\t\n\nÅngström\'s union\u2028日本 🙂\n';

export const VOCABULARY = 262;
export const CONTEXT = 8;

export const tokenizer: BpeTokenizer = trainTokenizer([OWN_TEXT.repeat(3)], {
  vocabSize: VOCABULARY,
});

function transformer(contextLength: number, width = 8): BackboneConfig {
  const sizes = { vocabSize: VOCABULARY, contextLength, width, layerCount: 1 };
  return { architecture: "transformer", ...sizes, headCount: 2 };
}

/** Models of `N` tokens, by name. */
export const models = {
  clm: (contextLength = CONTEXT): ModelConfig => ({
    kind: "causal",
    backbone: transformer(contextLength),
  }),
  eem: (contextLength = CONTEXT): ModelConfig => ({
    kind: "augmented",
    memory: "embedding",
    encoder: transformer(contextLength, 4),
    decoder: transformer(contextLength + 1),
    embeddingSize: 2,
  }),
  zeros: (contextLength = CONTEXT): ModelConfig => ({
    kind: "augmented",
    memory: "zeros",
    decoder: transformer(contextLength + 1),
  }),
  autoencoder: (contextLength = CONTEXT): ModelConfig => ({
    kind: "autoencoder",
    encoder: transformer(contextLength),
    decoder: transformer(contextLength),
    expansion: "repeat",
  }),
  "2eem": (contextLength = CONTEXT): ModelConfig => ({
    kind: "second-order",
    backbone: transformer(contextLength),
    shift: false,
  }),
};

/** Stores a run under its id in `<folder>/runs`, and gives that folder. */
export async function storeTextRun(
  folder: string,
  id: string,
  model: ModelConfig,
  { layout = "packed", seed = 1, tokenizer: own = tokenizer, teacher }: {
    layout?: Layout;
    seed?: number;
    tokenizer?: BpeTokenizer;
    /** Of a second-order model. */
    teacher?: EstimatorName;
  } = {},
): Promise<string> {
  const spec = tinySpec(folder, "clm", { model });
  const run: RunConfig = {
    id,
    spec: {
      ...spec,
      data: { ...spec.data, layout },
      ...(teacher && { teacher: { run: spec, estimator: teacher } }),
    },
    facts: {
      parameterCount: 1,
      embeddingSize: 2,
      bytesPerToken: 3,
      meanRealTokens: 4,
      trainWindows: 5,
      heldOutWindows: 6,
    },
    backend: "cpu",
    git: "abc",
  };
  const params = livelyModel(model, seed);
  const weights = formatSafetensors({ tensors: await storeTree(params), metadata: {} });
  disposeTree(params);
  const place = join(folder, "runs", id);
  await writeFileAtomically(join(place, "config.json"), JSON.stringify(run));
  await writeFileAtomically(join(place, "model.safetensors"), weights);
  await writeFileAtomically(join(place, "tokenizer.json"), formatTokenizer(own));
  return place;
}

export function foldersIn(folder: string) {
  return { runs: join(folder, "runs"), published: join(folder, "published") };
}
