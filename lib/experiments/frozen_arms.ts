/**
 * Notebook 03's frozen encoders (paper §2.7): decoders that are trained on the encoder of an
 * autoencoder or of a causal model, which stays as it is, and decoders that must give the whole
 * sequence back from such an encoder.
 *
 * The encoder's whole state is handed over and decoders have kernel 1, as in the original scripts.
 * Two series of autoencoders: of larger kernels, as there, and of longer training, which changes
 * nothing but how good they are.
 */

import type { AugmentedDecoderConfig, BackboneConfig, ModelConfig } from "../models/mod.ts";
import { seedSpecs, type TrainingSizes } from "./arms.ts";
import { autoencoderArm, autoencoderSpecs } from "./autoencoder_arms.ts";
import { handoverArm } from "./handover_names.ts";
import type { AutoencoderPreset } from "./presets.ts";
import type { RunSpec } from "./run_spec.ts";

/** Shares of the training after which an autoencoder's encoder is taken too. */
const EARLY_SHARES = [0.1, 0.3] as const;

/** Names of the autoencoders whose encoders are frozen, each series from the worst to the best. */
export function frozenSources(preset: AutoencoderPreset) {
  const { widths, kernelSizes } = preset;
  const [, base] = widths;
  const [, middle, large] = kernelSizes;
  const plain = autoencoderArm.plain("mixer", base);
  const early = EARLY_SHARES.map((share) =>
    handoverArm.early(plain, shortened(preset, share).steps)
  );
  return {
    plain,
    training: [...early, plain],
    kernels: [
      plain,
      autoencoderArm.kernel(middle, base, "repeat"),
      autoencoderArm.kernel(large, base, "repeat"),
    ],
  };
}

export function frozenSpecs(sizes: AutoencoderPreset): RunSpec[] {
  const { data, widths, layerCount, peakRates } = sizes;
  const { vocabSize, contextLength } = data;
  const [, width] = widths;
  const { plain, training, kernels } = frozenSources(sizes);
  const all = autoencoderSpecs(sizes);
  const shared = { architecture: "mixer", vocabSize, contextLength, width, layerCount } as const;
  const augmented = (
    encoder: BackboneConfig,
    options: { readPosition?: -2; layers?: number } = {},
  ) => {
    const { layers = layerCount, ...read } = options;
    const decoder = { ...shared, contextLength: contextLength + 1, layerCount: layers };
    return {
      kind: "augmented",
      memory: "embedding",
      encoder,
      decoder,
      ...read,
    } satisfies AugmentedDecoderConfig;
  };
  const arm = (
    name: string,
    model: ModelConfig,
    source?: readonly RunSpec[],
    trainingSizes: TrainingSizes = sizes,
  ): RunSpec[] =>
    seedSpecs({
      family: "frozen",
      arm: name,
      model,
      data,
      peakRate: peakRates.mixer,
      ...(source === undefined ? {} : {
        frozenEncoder: (seed) => source.find((run) => run.training.seed === seed)!,
      }),
    }, trainingSizes);

  const plainSpecs = all.filter(({ arm }) => arm === plain);
  const plainModel = plainSpecs[0]!.training.model;
  const early = EARLY_SHARES.flatMap((share) => {
    const short = shortened(sizes, share);
    return arm(handoverArm.early(plain, short.steps), plainModel, undefined, short);
  });
  const sourceSpecs = [...early, ...all];
  const sources = [...new Set([...training, ...kernels])].map((name) => {
    const specs = sourceSpecs.filter(({ arm }) => arm === name);
    const { model } = specs[0]!.training;
    if (model.kind !== "autoencoder") throw new Error(`${name} is no autoencoder`);
    return { name, specs, encoder: model.encoder };
  });
  const causalName = autoencoderArm.causal("mixer");
  const causal = all.filter(({ arm }) => arm === causalName);
  const trained = arm(handoverArm.trained(plain), augmented(shared));
  const inverse = (source: readonly RunSpec[], name: string, read: { readPosition?: -2 } = {}) =>
    arm(handoverArm.inverse(name), {
      kind: "autoencoder",
      encoder: shared,
      decoder: shared,
      expansion: "repeat",
      ...read,
    }, source);
  const large = sources.find(({ name }) => name === kernels.at(-1))!;
  return [
    ...sources.flatMap(({ specs }) => specs),
    ...causal,
    ...sources.flatMap(({ name, specs, encoder }) =>
      arm(handoverArm.frozen(name), augmented(encoder), specs)
    ),
    ...arm(handoverArm.frozen(causalName), augmented(shared, { readPosition: -2 }), causal),
    ...trained,
    ...arm(handoverArm.trained(large.name), augmented(large.encoder)),
    ...arm(handoverArm.deeper(plain), augmented(shared, { layers: 2 * layerCount }), plainSpecs),
    ...arm(handoverArm.noEncoder, {
      kind: "augmented",
      memory: "zeros",
      decoder: { ...shared, contextLength: contextLength + 1 },
    }),
    ...inverse(plainSpecs, plain),
    ...inverse(trained, handoverArm.trained(plain)),
    ...inverse(causal, causalName, { readPosition: -2 }),
  ];
}

/** A share of the training, its schedule in proportion. */
function shortened(sizes: AutoencoderPreset, share: number): AutoencoderPreset {
  const steps = Math.max(1, Math.round(share * sizes.steps));
  return { ...sizes, steps, warmupSteps: Math.round(share * sizes.warmupSteps) };
}
