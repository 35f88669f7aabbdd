/** Rows of notebook 02's figures and tables. */

import { EXPANSIONS } from "../models/mod.ts";
import { namedArm, summarizeArms } from "./arm_summary.ts";
import { autoencoderArm as names } from "./autoencoder_arms.ts";
import type { AutoencoderPreset } from "./presets.ts";
import type { RunResult } from "./run.ts";

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
        Object.fromEntries([
          ["kernel 1, repeat", names.plain("mixer", width)],
          ...kernels.flatMap((kernel) =>
            EXPANSIONS.map((expansion) => [
              `kernel ${kernel}, ${expansion}`,
              names.kernel(kernel, width, expansion),
            ])
          ),
        ]) as Record<string, string>,
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

/** Gradient norms of the train records after the warm-up, over all seeds: median and largest. */
export function gradientTable(
  results: readonly RunResult[],
  { widths }: AutoencoderPreset,
): Record<string, string | number>[] {
  const arms = summarizeArms(results);
  const shown = [names.plain("mixer", widths[1]), names.encoderUnmasked, names.unmasked];
  return shown.map((name) => {
    const norms = namedArm(arms, name).runs.flatMap(({ config, records }) => {
      const { warmupSteps } = config.spec.training.schedule;
      return records.flatMap((record) =>
        record.type === "train" && record.step > warmupSteps ? [record.gradientNorm] : []
      );
    }).sort((a, b) => a - b);
    return { arm: name, median: norms[Math.floor(norms.length / 2)]!, largest: norms.at(-1)! };
  });
}
