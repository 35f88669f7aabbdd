/**
 * The arms of notebook 02: autoencoders that differ in one thing each (paper §9 E2–E9, E11), and
 * causal models to read them against (E10, E11). All see the same text, steps and seeds.
 *
 * Transformer stacks of autoencoders are the paper's "modular" ones, which it finds better: an
 * embedding table of their own and no final norm; those of hybrids are whole Llama models (§2.5).
 */

import {
  type AutoencoderConfig,
  type BackboneConfig,
  backboneConfig,
  type Expansion,
} from "../models/mod.ts";
import { type Arm, seedSpecs } from "./arms.ts";
import type { AutoencoderPreset } from "./presets.ts";
import type { RunSpec } from "./run_spec.ts";

/** Names of arms; each is one model wherever a figure shows it. */
export const autoencoderArm = {
  plain: (architecture: "mixer" | "transformer", width: number) => `${architecture}, ${width} wide`,
  hybrid: (encoder: string, decoder: string) => `${encoder} → ${decoder}`,
  heads: (architecture: string, heads: number) =>
    `${architecture === "transformer" ? "unrolled transformer" : architecture}, ${heads} ${
      heads === 1 ? "head" : "heads"
    }`,
  kernel: (kernel: number, width: number, expansion: Expansion) =>
    `mixer, kernel ${kernel}, ${width} wide, ${expansion}`,
  bottleneck: (wide: number, narrow: number) =>
    `unrolled transformer, ${wide} → ${narrow} → ${wide}`,
  few: (what: string, numbers: number) => `${what}, ${numbers} numbers`,
  encoderUnmasked: "mixer, encoder unmasked",
  unmasked: "mixer, nothing masked",
  causal: (what: string) => `CLM, ${what}`,
} as const;

type StackOptions = { kernelSize?: number; headCount?: number; causal?: boolean };

/** All runs of the notebook, arm by arm. */
export function autoencoderSpecs(preset: AutoencoderPreset): RunSpec[] {
  return autoencoderArms(preset).flatMap((arm) => seedSpecs(arm, preset));
}

function autoencoderArms(preset: AutoencoderPreset): Arm[] {
  const { data, widths, layerCount, headCount, kernelSizes, peakRates, embeddingSize } = preset;
  const { vocabSize, contextLength } = data;
  const [narrow, base, wide] = widths;
  const sizes = { vocabSize, contextLength, layerCount };
  const mixer = (width: number, options: StackOptions = {}): BackboneConfig => ({
    architecture: "mixer",
    ...sizes,
    width,
    ...options,
  });
  const transformer = (width: number, heads = headCount): BackboneConfig => ({
    architecture: "transformer",
    ...sizes,
    width,
    headCount: heads,
    finalNorm: false,
  });
  const arm = (
    name: string,
    encoder: BackboneConfig,
    decoder: BackboneConfig = encoder,
    options: Partial<Pick<AutoencoderConfig, "expansion" | "embeddingSize" | "embedding">> = {},
  ): Arm => ({
    family: "autoencoder",
    arm: name,
    model: { kind: "autoencoder", encoder, decoder, expansion: "repeat", ...options },
    data,
    // As in the reference, whose hybrids train at the mixers' rate.
    peakRate: [encoder, decoder].some(({ architecture }) => architecture === "mixer")
      ? peakRates.mixer
      : peakRates.transformer,
  });
  const causal = (name: string, backbone: BackboneConfig): Arm => ({
    family: "causal",
    arm: autoencoderArm.causal(name),
    model: { kind: "causal", backbone },
    data,
    peakRate: peakRates[backbone.architecture === "mixer" ? "mixer" : "transformer"],
  });
  const llama = backboneConfig("transformer", { ...sizes, width: base, headCount });
  const unroll = { expansion: "unroll" } as const;
  const names = autoencoderArm;
  const [, middle, large] = kernelSizes;
  const kernels = (kernelSize: number, width: number) => {
    const stack = mixer(width, { kernelSize });
    return [
      arm(names.kernel(kernelSize, width, "repeat"), stack),
      arm(names.kernel(kernelSize, width, "unroll"), stack, stack, unroll),
    ];
  };
  return [
    // E2, and the base width for everything else
    ...[narrow, base, wide].map((width) => arm(names.plain("mixer", width), mixer(width))),
    ...[narrow, base, wide].map((width) =>
      arm(names.plain("transformer", width), transformer(width))
    ),
    // E3
    arm(names.hybrid("mixer", "transformer"), mixer(base), llama),
    arm(names.hybrid("transformer", "mixer"), llama, mixer(base), { embedding: "inner" }),
    // E4, E5
    ...preset.attentionHeads.map((heads) => {
      const stack = transformer(base, heads);
      return arm(names.heads("transformer", heads), stack, stack, unroll);
    }),
    // E6
    ...kernelSizes.flatMap((kernel) => kernels(kernel, base)),
    ...[middle, large].flatMap((kernel) => kernels(kernel, wide)),
    // E7
    arm(names.bottleneck(wide, base), transformer(wide), transformer(wide), {
      ...unroll,
      embeddingSize: base,
    }),
    // E8
    arm(names.encoderUnmasked, mixer(base, { causal: false }), mixer(base)),
    arm(names.unmasked, mixer(base, { causal: false })),
    // E9
    ...preset.mixingHeads.map((heads) =>
      arm(names.heads("mixer", heads), mixer(base, { headCount: heads }))
    ),
    // E10, E11
    causal("mixer", mixer(base)),
    causal("mixer, 4 heads", mixer(base, { headCount: 4 })),
    causal("transformer", llama),
    ...(["repeat", "unroll"] as const).map((expansion) => {
      const stack = mixer(base, { kernelSize: middle });
      const name = names.few(`mixer, kernel ${middle}, ${expansion}`, embeddingSize);
      return arm(name, stack, stack, { expansion, embeddingSize });
    }),
    arm(
      names.few("transformer, unroll", embeddingSize),
      transformer(base),
      transformer(base),
      { ...unroll, embeddingSize },
    ),
  ];
}
