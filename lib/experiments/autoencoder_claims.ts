/** Notebook 02's claims: the paper's orderings of autoencoders (paper §9 E2–E11). */

import { mean } from "../measure/mod.ts";
import { type Expansion, EXPANSIONS } from "../models/mod.ts";
import { finalLosses, minus, namedArm, summarizeArms } from "./arm_summary.ts";
import { autoencoderArm as names } from "./autoencoder_arms.ts";
import { type ClaimContext, claimRow, type ClaimText, closeMargin } from "./claim_row.ts";
import type { ClaimRow } from "./claims.ts";
import type { AutoencoderPreset } from "./presets.ts";
import type { RunResult } from "./run.ts";

/** "About equal" in E9: the paper's own pair differs by 7 % (1.392 and 1.493, §9 E26). */
const ABOUT_EQUAL_SHARE = 0.1;

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
    [a, b]: readonly [readonly number[], readonly number[]],
    share?: number,
  ) =>
    row(
      { experiment, claim, paper, direction: "none", margin: closeMargin([a, b], share) },
      minus(a, b),
    );
  /** Of named arms the one with the lowest or highest mean. */
  const extreme = (candidates: readonly string[], sign: 1 | -1) =>
    candidates.map(loss).reduce((a, b) => sign * mean(b) < sign * mean(a) ? b : a);

  const { widths, headCount, mixingHeads, kernelSizes, embeddingSize, attentionHeads } = preset;
  const [narrow, base, wide] = widths;
  const [small, middle, large] = kernelSizes;
  const mixer = (width: number) => loss(names.plain("mixer", width));
  const transformer = (width: number) => loss(names.plain("transformer", width));
  const mixing = (heads: number) => loss(names.heads("mixer", heads));
  const kernel = (size: number, width: number, expansion: Expansion) =>
    loss(names.kernel(size, width, expansion));
  const gain = (of: (width: number) => number[], from: number, to: number) =>
    minus(of(from), of(to));
  const few = EXPANSIONS.map((expansion) =>
    names.few(`mixer, kernel ${middle}, ${expansion}`, embeddingSize)
  );
  const fewTransformer = names.few("transformer, unroll", embeddingSize);
  const plain = names.plain("mixer", base);
  const pairings = [
    plain,
    names.plain("transformer", base),
    names.hybrid("mixer", "transformer"),
    names.hybrid("transformer", "mixer"),
  ];
  const best = names.kernel(middle, base, "repeat");
  const otherHeads = attentionHeads.filter((heads) => heads !== 8)
    .map((heads) => names.heads("transformer", heads));
  const eight = loss(names.heads("transformer", 8));
  const largest = names.kernel(large, wide, "unroll");
  const otherWide = EXPANSIONS.flatMap((expansion) =>
    [middle, large].map((size) => names.kernel(size, wide, expansion))
  ).filter((name) => name !== largest);

  return [
    ...widths.map((width) =>
      below("E2", `${width} wide: mixer below transformer`, mixer(width), transformer(width), {
        paper: "far lower",
      })
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
      `mixer → mixer with kernel ${middle} below the best other pairing`,
      loss(best),
      extreme(pairings, 1),
    ),
    ...[plain, names.hybrid("transformer", "mixer")].map((name) =>
      below(
        "E3",
        `${name === plain ? "mixer → mixer" : name} below mixer → transformer`,
        loss(name),
        loss(names.hybrid("mixer", "transformer")),
      )
    ),
    below(
      "E4",
      "transformer: unroll below repeat",
      loss(names.heads("transformer", headCount)),
      transformer(base),
      { paper: "far lower" },
    ),
    row(
      {
        experiment: "E5",
        claim: "unrolled transformer: 8 heads are best or tied with the best other number",
        paper: "best or tied",
        margin: closeMargin([eight]),
      },
      minus(extreme(otherHeads, 1), eight),
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
      { paper: "at or below", margin: closeMargin([kernel(middle, wide, "repeat")]) },
    ),
    below(
      "E6",
      `mixer, ${wide} wide: kernel ${large}, unroll, below the best other`,
      loss(largest),
      extreme(otherWide, 1),
    ),
    below(
      "E7",
      `unrolled transformer: ${base} wide and uncompressed below ${wide} → ${base} → ${wide}`,
      loss(names.heads("transformer", headCount)),
      loss(names.bottleneck(wide, base)),
    ),
    below(
      "E8",
      "mixer: masked below encoder unmasked",
      mixer(base),
      loss(names.encoderUnmasked),
    ),
    below(
      "E9",
      "mixer: flat above the worst number of heads",
      extreme(mixingHeads.map((heads) => names.heads("mixer", heads)), -1),
      mixer(base),
      { paper: "flat is worst" },
    ),
    below("E9", "mixer: 4 heads below one", mixing(4), mixing(1)),
    below("E9", "mixer: 8 heads below 16", mixing(8), mixing(16)),
    close(
      "E9",
      `mixer: flat with kernel ${middle} like 4 heads, within a tenth`,
      "about equal",
      [loss(best), mixing(4)],
      ABOUT_EQUAL_SHARE,
    ),
    close(
      "E10",
      "causal mixer: 4 heads like flat, within 2 %",
      "nearly no difference",
      [loss(names.causal("mixer, 4 heads")), loss(names.causal("mixer"))],
    ),
    below(
      "E11",
      `${embeddingSize} numbers: the best autoencoder above the worse causal model`,
      extreme([names.causal("mixer"), names.causal("transformer")], -1),
      extreme([...few, fewTransformer], 1),
      { paper: "far above" },
    ),
    below(
      "E11",
      `${embeddingSize} numbers: the worse mixer below the transformer`,
      extreme(few, -1),
      loss(fewTransformer),
    ),
  ];
}
