/** Notebook 03's claims, figures' rows and tables (paper §2.7, §9 E12, E13, E16). */

import type { CurveRow } from "../figures/mod.ts";
import { mean } from "../measure/mod.ts";
import { type Join, JOINS } from "../models/mod.ts";
import {
  type ArmSummary,
  finalLosses,
  lossesAt,
  lossTable,
  minus,
  namedArm,
  priceNats,
  roundedLosses,
  summarizeArms,
} from "./arm_summary.ts";
import { autoencoderArm } from "./autoencoder_arms.ts";
import { CLOSE_NATS } from "./autoencoder_claims.ts";
import { PRICED_BITS, ROUNDED_BITS } from "./baseline_arms.ts";
import { type ClaimContext, claimRow, type ClaimText } from "./claim_row.ts";
import type { ClaimRow } from "./claims.ts";
import { frozenSources, handoverArm as names } from "./handover_arms.ts";
import type { HandoverPreset } from "./presets.ts";
import type { RunResult } from "./run.ts";

/** Arms that figures of the notebook compare, panel by panel. */
export function handoverFigures({ joins }: HandoverPreset) {
  const [small, large] = joins.kernelSizes;
  const three = (from: "mixer", to: "mixer" | "transformer") =>
    JOINS.map((join) => names.join(from, to, join));
  return {
    joins: {
      "mixer decoder": [names.clm("mixer"), ...three("mixer", "mixer")],
      "transformer decoder": [names.clm("transformer"), ...three("mixer", "transformer")],
    },
    pairings: {
      "mixer decoder": [
        names.clm("mixer"),
        names.join("mixer", "mixer", "embedding"),
        names.join("transformer", "mixer", "token"),
      ],
      "transformer decoder": [
        names.clm("transformer"),
        names.join("mixer", "transformer", "embedding"),
        names.join("transformer", "transformer", "token"),
        names.likeCausal,
      ],
    },
    encoders: {
      "embedding join": [
        names.join("mixer", "mixer", "embedding"),
        names.encoderHeads(joins.mixingHeads),
        names.encoderKernel(small, "embedding"),
        names.encoderKernel(large, "embedding"),
      ],
      "token join": [
        names.join("mixer", "mixer", "token"),
        names.encoderKernel(small, "token"),
      ],
    },
    recurrent: {
      "causal models": [names.clm("mixer"), names.clm("transformer"), names.clm("lstm")],
    },
  };
}

/** Every claim of the paper that the notebook tests, judged by rule (lib/measure/verdict.ts). */
export function handoverClaims(
  results: readonly RunResult[],
  preset: HandoverPreset,
  context: ClaimContext,
): ClaimRow[] {
  const arms = summarizeArms(results);
  const of = (name: string) => namedArm(arms, name);
  const loss = (name: string) => finalLosses(of(name));
  const row = (text: ClaimText, differences: readonly number[]) =>
    claimRow(text, differences, preset.joins.seeds, context);
  return [
    ...joinClaims(of, preset.joins, row),
    ...frozenClaims(loss, preset.frozen, row),
    ...sizeClaims(of, preset, row),
  ];
}

type Row = (text: ClaimText, differences: readonly number[]) => ClaimRow;

function joinClaims(
  of: (name: string) => ArmSummary,
  { mixingHeads, kernelSizes }: HandoverPreset["joins"],
  row: Row,
): ClaimRow[] {
  const loss = (name: string) => finalLosses(of(name));
  const [small] = kernelSizes;
  const join = (to: "mixer" | "transformer", how: Join) => loss(names.join("mixer", to, how));
  const spread = (to: "mixer" | "transformer") => {
    const all = JOINS.map((how) => join(to, how));
    return all[0]!.map((_, seed) => {
      const values = all.map((losses) => losses[seed]!);
      return Math.max(...values) - Math.min(...values);
    });
  };
  const close = { direction: "none", margin: CLOSE_NATS } as const;
  /** The loss with the embedding priced at 4 bits a number, the paper's L_norm. */
  const priced = (name: string, share = 1) => {
    const arm = of(name);
    return lossesAt(arm, share).map((nats) => nats + priceNats(arm, 4));
  };
  const matched = {
    mixer: names.join("mixer", "mixer", "embedding"),
    transformer: names.likeCausal,
  };
  const mixed = names.join("mixer", "transformer", "embedding");
  const gain = (family: "mixer" | "transformer", name: string) =>
    minus(loss(names.clm(family)), loss(name));
  const flat = (how: "token" | "embedding") => join("mixer", how);
  return [
    ...([["E12a", "mixer", "embedding"], ["E12b", "transformer", "token"]] as const).flatMap(
      ([experiment, to, best]) => [
        row({
          experiment,
          claim: `${to} decoder: the three joins are close (within ${CLOSE_NATS})`,
          paper: "close",
          ...close,
        }, spread(to)),
        ...JOINS.filter((other) => other !== best).map((other) =>
          row({
            experiment,
            claim: `${to} decoder: the ${best} join is below the ${other} join`,
            paper: "slightly lower",
          }, minus(join(to, other), join(to, best)))
        ),
      ],
    ),
    ...(["mixer", "transformer"] as const).map((family) =>
      row(
        {
          experiment: "E13",
          claim: `${family}: priced at 4 bits, the EEM starts above its CLM (a third of the way)`,
          paper: "above",
        },
        minus(priced(matched[family], 1 / 3), lossesAt(of(names.clm(family)), 1 / 3)),
      )
    ),
    row({
      experiment: "E13",
      claim: "transformer decoder, priced at 4 bits: the transformer encoder beats the mixer's",
      paper: "matched types beat mixed",
    }, minus(priced(mixed), priced(names.join("transformer", "transformer", "token")))),
    row({
      experiment: "E13",
      claim: "the mixer EEM gains more over its CLM than the transformer EEM, raw",
      paper: "mixer gains most",
    }, minus(gain("mixer", matched.mixer), gain("transformer", matched.transformer))),
    row({
      experiment: "E16",
      claim: `embedding join: an encoder of ${mixingHeads} heads is above a flat one`,
      paper: "slightly worse",
    }, minus(loss(names.encoderHeads(mixingHeads)), flat("embedding"))),
    row({
      experiment: "E16",
      claim: `embedding join: encoder kernel ${small} brings no gain (within ${CLOSE_NATS})`,
      paper: "no gain",
      ...close,
    }, minus(flat("embedding"), loss(names.encoderKernel(small, "embedding")))),
    row({
      experiment: "E16",
      claim: `token join: encoder kernel ${small} brings a gain`,
      paper: "gain",
    }, minus(flat("token"), loss(names.encoderKernel(small, "token")))),
  ];
}

function frozenClaims(
  loss: (name: string) => number[],
  preset: HandoverPreset["frozen"],
  row: Row,
): ClaimRow[] {
  const sources = frozenSources(preset);
  const worst = sources[0]!;
  const best = sources.at(-1)!;
  const clm = autoencoderArm.causal("mixer");
  const experiment = "§2.7";
  return [
    ...sources.slice(1).map((better, index) =>
      row({
        experiment,
        claim: `frozen encoders: that of “${better}” below that of “${sources[index]}”`,
        paper: "better autoencoders, lower loss",
      }, minus(loss(names.frozen(sources[index]!)), loss(names.frozen(better))))
    ),
    row({
      experiment,
      claim: "the worst autoencoder's frozen encoder is below the causal model's",
      paper: "far below",
    }, minus(loss(names.frozen(clm)), loss(names.frozen(worst)))),
    row({
      experiment,
      claim: "the worst autoencoder's frozen encoder is below no encoder",
      paper: "far below",
    }, minus(loss(names.noEncoder), loss(names.frozen(worst)))),
    ...[worst, best].map((name) =>
      row({
        experiment,
        claim: `“${name}”: a trained encoder is below the frozen one`,
        paper: "far below",
      }, minus(loss(names.frozen(name)), loss(names.trained(name))))
    ),
    row({
      experiment,
      claim: `twice the decoder's depth changes nothing (within ${CLOSE_NATS})`,
      paper: "nothing",
      direction: "none",
      margin: CLOSE_NATS,
    }, minus(loss(names.frozen(best)), loss(names.deeper))),
  ];
}

function sizeClaims(
  of: (name: string) => ArmSummary,
  { scan, latent }: HandoverPreset,
  row: Row,
): ClaimRow[] {
  const [, width] = scan.widths;
  const largest = scan.embeddingSizes.at(-1)!;
  const most = latent.embeddingSizes.at(-1)!;
  const loss = (name: string) => finalLosses(of(name));
  const inBits = (nats: readonly number[]) => sequenceBits(nats, latent);
  /** Bits of embedding and sequence together, the fewest over sizes and roundings. */
  const shortest = (latentBits: number) => {
    const totals = latent.embeddingSizes.flatMap((size) =>
      ROUNDED_BITS.map((bits) =>
        inBits(roundedLosses(of(names.latent(latentBits, size)), bits))
          .map((rest) => size * bits + rest)
      )
    );
    return totals[0]!.map((_, seed) => Math.min(...totals.map((values) => values[seed]!)));
  };
  return [
    row({
      experiment: "§2.6",
      claim: `text: the whole state (${width} numbers) below ${largest} numbers`,
      paper: "near-lossless with large embeddings",
    }, minus(loss(names.scanned(largest)), loss(names.scanned(width)))),
    ...latent.latentBits.flatMap((latentBits) => [
      row(
        {
          experiment: "§4.1",
          claim: `${latentBits} latent bits: ${most} numbers leave less than half a bit a sequence`,
          paper: "the loss reaches 0",
          metric: "half a bit − residual bits",
          unit: "bits/sequence",
        },
        inBits(loss(names.latent(latentBits, most))).map((rest) => 0.5 - rest),
      ),
      row({
        experiment: "§8",
        claim: `${latentBits} latent bits: embedding and residue together never take fewer`,
        paper: "never below the entropy",
        metric: "fewest bits of both − latent bits",
        unit: "bits/sequence",
      }, shortest(latentBits).map((total) => total - latentBits)),
    ]),
  ];
}

/** Mean losses per token as bits of a whole latent sequence, whose first token is not scored. */
function sequenceBits(
  nats: readonly number[],
  { blockCount, blockLength }: HandoverPreset["latent"],
): number[] {
  return nats.map((loss) => loss * blockCount * blockLength / Math.LN2);
}

/** Loss on text against the numbers handed over, unrounded and rounded; and without any. */
export function scanCurves(
  results: readonly RunResult[],
  { scan }: HandoverPreset,
): { rows: CurveRow[]; none: number } {
  const arms = summarizeArms(results);
  const of = (numbers: number) => namedArm(arms, names.scanned(numbers));
  const sizes = [...scan.embeddingSizes, scan.widths[1]];
  const rows = (arm: string, losses: (arm: ArmSummary) => number[]) =>
    sizes.flatMap((x) => losses(of(x)).map((y, seed) => ({ arm, seed, x, y })));
  return {
    rows: [
      ...rows("not rounded", finalLosses),
      ...PRICED_BITS.map((bits) => rows(`${bits} bits a number`, (arm) => roundedLosses(arm, bits)))
        .flat(),
    ],
    none: mean(finalLosses(of(0))),
  };
}

/** Bits a sequence of known entropy still takes, and with its embedding's bits, by size. */
export function latentCurves(
  results: readonly RunResult[],
  { latent }: HandoverPreset,
): CurveRow[] {
  const arms = summarizeArms(results);
  return latent.latentBits.flatMap((latentBits) => {
    const facet = `${latentBits} random bits a sequence`;
    const rows = (arm: string, bits: (arm: ArmSummary, size: number) => number[]) =>
      latent.embeddingSizes.flatMap((x) =>
        bits(namedArm(arms, names.latent(latentBits, x)), x)
          .map((y, seed) => ({ arm, facet, seed, x, y }))
      );
    const alone = sequenceBits(finalLosses(namedArm(arms, names.latent(latentBits, 0))), latent);
    return [
      ...rows("its random bits", (arm) => arm.seeds.map(() => latentBits)),
      ...rows("no embedding", () => alone),
      ...rows("embedding, not paid for", (arm) => sequenceBits(finalLosses(arm), latent)),
      ...rows(
        "embedding at 4 bits a number, paid for",
        (arm, size) => sequenceBits(roundedLosses(arm, 4), latent).map((rest) => 4 * size + rest),
      ),
    ];
  });
}

/**
 * The decoder's loss against the loss of the autoencoder whose frozen encoder it is given, and the
 * losses to read it against.
 */
export function frozenCurve(
  results: readonly RunResult[],
  { frozen }: HandoverPreset,
): { rows: CurveRow[]; references: { label: string; y: number }[] } {
  const arms = summarizeArms(results);
  const loss = (name: string) => finalLosses(namedArm(arms, name));
  const sources = frozenSources(frozen);
  const clm = names.frozen(autoencoderArm.causal("mixer"));
  const compared = [names.noEncoder, clm, ...[sources[0]!, sources.at(-1)!].map(names.trained)];
  return {
    rows: sources.flatMap((source) => {
      const x = mean(loss(source));
      return loss(names.frozen(source)).map((y, seed) => ({
        arm: "frozen encoder of an autoencoder",
        seed,
        x,
        y,
      }));
    }),
    references: compared.map((label) => ({ label, y: mean(loss(label)) })),
  };
}

/** The causal models' losses and their training speed, the median over train records. */
export function speedTable(arms: readonly ArmSummary[]): Record<string, string | number>[] {
  return lossTable(arms).map((line, index) => {
    const rates = arms[index]!.runs.flatMap(({ records }) =>
      records.flatMap((record) => record.type === "train" ? [record.tokensPerSecond] : [])
    ).sort((a, b) => a - b);
    return { ...line, "tokens/s": Math.round(rates[Math.floor(rates.length / 2)]!) };
  });
}
