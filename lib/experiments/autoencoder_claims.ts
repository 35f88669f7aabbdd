/** Notebook 02's claims and figures: the paper's orderings of autoencoders (paper §9 E2–E11). */

import { type ArmSummary, finalLosses, minus, namedArm, summarizeArms } from "./arm_summary.ts";
import { autoencoderArm as names } from "./autoencoder_arms.ts";
import { type ClaimContext, claimRow, type ClaimText } from "./claim_row.ts";
import type { ClaimRow } from "./claims.ts";
import type { AutoencoderPreset } from "./presets.ts";
import type { RunResult } from "./run.ts";

/** What counts as hardly any difference, nats per token: about one part in eighty of the losses. */
export const CLOSE_NATS = 0.05;

/** Arms that figures of the notebook compare, panel by panel. */
export function autoencoderFigures(
  { widths, headCount, attentionHeads, mixingHeads, kernelSizes, embeddingSize }: AutoencoderPreset,
) {
  const [, base, wide] = widths;
  const [, middle, large] = kernelSizes;
  const plain = names.plain("mixer", base);
  return {
    widths: {
      mixer: widths.map((width) => names.plain("mixer", width)),
      transformer: widths.map((width) => names.plain("transformer", width)),
    },
    hybrids: {
      "encoder → decoder": [
        plain,
        names.plain("transformer", base),
        names.hybrid("mixer", "transformer"),
        names.hybrid("transformer", "mixer"),
        names.kernel(middle, base, "repeat"),
      ],
      "through a narrow vector": [
        names.heads("transformer", headCount),
        names.bottleneck(wide, base),
      ],
    },
    unrolling: {
      "repeat or unroll": [
        names.plain("transformer", base),
        names.heads("transformer", headCount),
      ],
      "attention heads": attentionHeads.map((heads) => names.heads("transformer", heads)),
    },
    kernels: Object.fromEntries(
      [[base, kernelSizes] as const, [wide, [middle, large]] as const].map(([width, kernels]) => [
        `${width} wide`,
        [
          names.plain("mixer", width),
          ...kernels.flatMap((kernel) => [
            names.kernel(kernel, width, "repeat"),
            names.kernel(kernel, width, "unroll"),
          ]),
        ],
      ]),
    ),
    mixing: {
      heads: [plain, ...mixingHeads.map((heads) => names.heads("mixer", heads))],
      "causal masks": [plain, names.encoderUnmasked, names.unmasked],
    },
    few: {
      [`${embeddingSize} numbers a sequence, and CLMs`]: [
        names.few(`mixer, kernel ${middle}, repeat`, embeddingSize),
        names.few(`mixer, kernel ${middle}, unroll`, embeddingSize),
        names.few("transformer, unroll", embeddingSize),
        names.causal("mixer"),
        names.causal("mixer, 4 heads"),
        names.causal("transformer"),
      ],
    },
  };
}

/** Every ordering of the paper that the notebook tests, judged by rule (lib/measure/verdict.ts). */
export function autoencoderClaims(
  results: readonly RunResult[],
  preset: AutoencoderPreset,
  context: ClaimContext,
): ClaimRow[] {
  const arms = summarizeArms(results);
  const loss = (name: string) => finalLosses(namedArm(arms, name));
  const row = (text: ClaimText, differences: readonly number[]) =>
    claimRow(text, differences, preset.seeds, context);
  /** `lower` has the lower loss. */
  const below = (
    experiment: string,
    claim: string,
    lower: readonly number[],
    higher: readonly number[],
    options: Partial<ClaimText> = {},
  ) => row({ experiment, claim, paper: "lower", ...options }, minus(higher, lower));
  const close = (
    experiment: string,
    claim: string,
    paper: string,
    a: readonly number[],
    b: readonly number[],
  ) => row({ experiment, claim, paper, direction: "none", margin: CLOSE_NATS }, minus(a, b));

  const { widths, headCount, mixingHeads, kernelSizes, embeddingSize, attentionHeads } = preset;
  const [narrow, base, wide] = widths;
  const [small, middle, large] = kernelSizes;
  const mixer = (width: number) => loss(names.plain("mixer", width));
  const transformer = (width: number) => loss(names.plain("transformer", width));
  const attention = (heads: number) => loss(names.heads("transformer", heads));
  const mixing = (heads: number) => loss(names.heads("mixer", heads));
  const kernel = (size: number, width: number, expansion: "repeat" | "unroll") =>
    loss(names.kernel(size, width, expansion));
  const gain = (of: (width: number) => number[], from: number, to: number) =>
    minus(of(from), of(to));
  const few = {
    repeat: loss(names.few(`mixer, kernel ${middle}, repeat`, embeddingSize)),
    unroll: loss(names.few(`mixer, kernel ${middle}, unroll`, embeddingSize)),
    transformer: loss(names.few("transformer, unroll", embeddingSize)),
  };
  const toTransformer = loss(names.hybrid("mixer", "transformer"));
  const toMixer = loss(names.hybrid("transformer", "mixer"));
  const best = kernel(middle, base, "repeat");
  const otherHeads = attentionHeads.filter((heads) => heads !== 8);
  const norms = (name: string) => largestGradientNorms(namedArm(arms, name));
  const plain = names.plain("mixer", base);

  return [
    ...widths.map((width) =>
      below("E2", `${width} wide: mixer below transformer`, mixer(width), transformer(width))
    ),
    row(
      {
        experiment: "E2",
        claim: "transformer: the second doubling of the width gains less than the first",
        paper: "less",
      },
      minus(gain(transformer, narrow, base), gain(transformer, base, wide)),
    ),
    row(
      {
        experiment: "E2",
        claim: "mixer: the second doubling of the width gains more than the first",
        paper: "more",
      },
      minus(gain(mixer, base, wide), gain(mixer, narrow, base)),
    ),
    below(
      "E3",
      `mixer → mixer with kernel ${middle} below all other pairings`,
      best,
      lowest([mixer(base), transformer(base), toTransformer, toMixer]),
    ),
    below("E3", "mixer → mixer below mixer → transformer", mixer(base), toTransformer),
    below("E3", "transformer → mixer below mixer → transformer", toMixer, toTransformer),
    below(
      "E4",
      "transformer: unroll below repeat",
      attention(headCount),
      transformer(base),
    ),
    row(
      {
        experiment: "E5",
        claim: `unrolled transformer: 8 heads are best or tied (within ${CLOSE_NATS})`,
        paper: "best or tied",
        margin: CLOSE_NATS,
      },
      minus(lowest(otherHeads.map(attention)), attention(8)),
    ),
    ...[middle, large].map((size) =>
      below(
        "E6",
        `mixer, ${base} wide, kernel ${size}: repeat below unroll`,
        kernel(size, base, "repeat"),
        kernel(size, base, "unroll"),
      )
    ),
    ...([[middle, small], [large, middle]] as const).map(([larger, smaller]) =>
      below(
        "E6",
        `mixer, ${base} wide, repeat: kernel ${larger} below kernel ${smaller}`,
        kernel(larger, base, "repeat"),
        kernel(smaller, base, "repeat"),
      )
    ),
    below(
      "E6",
      `mixer, ${wide} wide, kernel ${middle}: reversed, unroll at or below repeat`,
      kernel(middle, wide, "unroll"),
      kernel(middle, wide, "repeat"),
    ),
    below(
      "E6",
      `mixer, ${wide} wide, unroll: kernel ${large} below kernel ${middle}`,
      kernel(large, wide, "unroll"),
      kernel(middle, wide, "unroll"),
    ),
    below(
      "E7",
      `unrolled transformer: ${base} wide and uncompressed below ${wide} → ${base} → ${wide}`,
      attention(headCount),
      loss(names.bottleneck(wide, base)),
    ),
    below(
      "E8",
      "mixer: masked below encoder unmasked",
      mixer(base),
      loss(names.encoderUnmasked),
    ),
    row(
      {
        experiment: "E8",
        claim: "mixer: with nothing masked the gradient's norm spikes, masked it does not",
        paper: "spikes",
        metric: "difference of the largest gradient norm after warm-up",
        unit: "",
      },
      minus(norms(names.unmasked), norms(plain)),
    ),
    below("E9", "mixer: one head below flat", mixing(mixingHeads[0]!), mixer(base)),
    below("E9", "mixer: 4 heads below one", mixing(4), mixing(1)),
    below("E9", "mixer: 8 heads below 16", mixing(8), mixing(16)),
    close("E9", `mixer: flat with kernel ${middle} like 4 heads`, "about equal", best, mixing(4)),
    close(
      "E10",
      "causal mixer: 4 heads like flat",
      "nearly no difference",
      loss(names.causal("mixer, 4 heads")),
      loss(names.causal("mixer")),
    ),
    below(
      "E11",
      `${embeddingSize} numbers: every autoencoder above both causal models`,
      highest([loss(names.causal("mixer")), loss(names.causal("transformer"))]),
      lowest(Object.values(few)),
      { paper: "far above" },
    ),
    below(
      "E11",
      `${embeddingSize} numbers: both mixers below the transformer`,
      highest([few.repeat, few.unroll]),
      few.transformer,
    ),
  ];
}

/** The lowest value of each seed. */
function lowest(losses: readonly (readonly number[])[]): number[] {
  return losses[0]!.map((_, seed) => Math.min(...losses.map((values) => values[seed]!)));
}

/** The highest value of each seed. */
function highest(losses: readonly (readonly number[])[]): number[] {
  return losses[0]!.map((_, seed) => Math.max(...losses.map((values) => values[seed]!)));
}

/** The largest gradient norm among the train records after the warm-up, seed by seed. */
export function largestGradientNorms({ runs }: ArmSummary): number[] {
  return runs.map(({ config, records }) => {
    const { warmupSteps } = config.spec.training.schedule;
    const norms = records.flatMap((record) =>
      record.type === "train" && record.step > warmupSteps ? [record.gradientNorm] : []
    );
    return Math.max(...norms);
  });
}
