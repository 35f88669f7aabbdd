/** A corpus of a few kilobytes and specifications of runs that take a second. */

import { join } from "node:path";
import { type CorpusData, latentData, type RunSpec } from "../../lib/experiments/mod.ts";
import type { BackboneConfig, ModelConfig } from "../../lib/models/mod.ts";
import { createRandom } from "../../lib/random.ts";
import { ADAMW_DEFAULTS } from "../../lib/train/mod.ts";

const WORDS = ["the", "union", "of", "states", "is", "strong", "and", "small", "congress", "today"];

/** Forty documents of random sentences, always the same. */
export function tinyCorpus(): Record<string, string> {
  const random = createRandom(5).stream("tiny corpus");
  const word = () => WORDS[Math.floor(random.uniform() * WORDS.length)]!;
  const documents = Array.from(
    { length: 40 },
    () => Array.from({ length: 120 }, word).join(" ") + ".\n",
  );
  return { "corpus.jsonl": documents.map((text) => JSON.stringify({ text })).join("\n") };
}

/** Two hundred documents of one to four words, of which some fill a window of eight tokens. */
export function shortDocuments(): Record<string, string> {
  const words = tinyCorpus()["corpus.jsonl"]!.match(/[a-z]{3,}/g)!;
  const documents = Array.from(
    { length: 200 },
    (_, i) => words.slice(4 * i, 4 * i + 1 + i % 4).join(" "),
  );
  return { "corpus.jsonl": documents.map((text) => JSON.stringify({ text })).join("\n") };
}

const VOCABULARY = 270;
const CONTEXT = 8;

function mixer(width: number, contextLength: number, vocabSize = VOCABULARY): BackboneConfig {
  return { architecture: "mixer", vocabSize, contextLength, width, layerCount: 1 };
}

/** Runs of twelve steps, by model. */
export function tinySpec(
  folder: string,
  model: "clm" | "ae" | "eem" | "zeros" | "2eem",
  changes: Partial<RunSpec["training"]> = {},
): RunSpec & { readonly data: CorpusData } {
  const encoder = mixer(4, CONTEXT);
  const decoder = mixer(8, CONTEXT + 1);
  const models: Record<typeof model, ModelConfig> = {
    clm: { kind: "causal", backbone: mixer(8, CONTEXT) },
    ae: { kind: "autoencoder", encoder, decoder: mixer(8, CONTEXT), expansion: "repeat" },
    zeros: { kind: "augmented", memory: "zeros", decoder },
    eem: { kind: "augmented", memory: "embedding", encoder, decoder, embeddingSize: 2 },
    "2eem": { kind: "second-order", backbone: mixer(8, CONTEXT), shift: false },
  };
  return {
    arm: model,
    family: "mixer",
    data: {
      corpus: join(folder, "corpus.jsonl"),
      vocabSize: VOCABULARY,
      unit: "document",
      layout: "packed",
      contextLength: CONTEXT,
      heldOutWindows: 16,
    },
    quantizedBits: [4, 8],
    training: {
      model: models[model],
      optimizer: ADAMW_DEFAULTS,
      schedule: { peakRate: 0.01, warmupSteps: 2, steps: 12 },
      batchSize: 8,
      seed: 3,
      logEvery: 2,
      evaluateEvery: 4,
      ...changes,
    },
  };
}

/** A run of twelve steps on made sequences of 4 bits. */
export function tinyLatentSpec(): RunSpec {
  const source = { latentBits: 8, blockCount: 2, blockLength: 3 };
  const data = latentData(source, { trainWindows: 40, heldOutWindows: 9, sequenceSeed: 6 });
  const { training, ...spec } = tinySpec("", "clm");
  const model: ModelConfig = {
    kind: "causal",
    backbone: mixer(8, data.contextLength, data.vocabSize),
  };
  return { ...spec, data, training: { ...training, model } };
}
