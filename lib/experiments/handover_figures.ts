/** Rows of notebook 03's figures and tables. */

import type { CurveRow } from "../figures/mod.ts";
import { mean } from "../measure/mod.ts";
import { JOINS } from "../models/mod.ts";
import {
  type ArmSummary,
  finalLosses,
  lossTable,
  namedArm,
  roundedLosses,
  summarizeArms,
} from "./arm_summary.ts";
import { autoencoderArm } from "./autoencoder_arms.ts";
import { PRICED_BITS, ROUNDED_BITS } from "./baseline_arms.ts";
import { frozenSources } from "./frozen_arms.ts";
import { handoverArm as names } from "./handover_names.ts";
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
      // No CLM: it starts otherwise, which is worth more than the embedding (notebook 01).
      "transformer decoder": three("mixer", "transformer"),
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
      "causal models": (["mixer", "transformer", "lstm"] as const).map(names.ownRate),
    },
  };
}

/** An embedding tells most of a sequence when it leaves less than this share of its bits. */
const LEFT_SHARE = 0.25;

/**
 * By source, means over seeds: what a model without an embedding pays, the fewest bits of an
 * embedding that leaves less than a quarter, and the fewest of embedding and rest together. That they
 * are at least the random bits is the source-coding theorem: a check of the accounting, no finding.
 */
export function latentTable(
  results: readonly RunResult[],
  { latent }: HandoverPreset,
): Record<string, string | number>[] {
  const arms = summarizeArms(results);
  return latent.latentBits.map((latentBits) => {
    const arm = (size: number) => namedArm(arms, names.latent(latentBits, size));
    const told = latent.embeddingSizes.flatMap((size) =>
      ROUNDED_BITS.map((bits) => ({
        size,
        bits,
        paid: size * bits,
        rest: mean(sequenceBits(roundedLosses(arm(size), bits), latent)),
      }))
    ).sort((a, b) => a.paid - b.paid);
    const enough = told.find(({ rest }) => rest < LEFT_SHARE * latentBits);
    const fewest = Math.min(...told.map(({ paid, rest }) => paid + rest));
    return {
      "random bits": latentBits,
      "no embedding, bits": mean(sequenceBits(finalLosses(arm(0)), latent)),
      "smallest embedding that tells three quarters": enough === undefined
        ? "none of these"
        : `${enough.size} × ${enough.bits} = ${enough.paid} bits`,
      "fewest bits, embedding and rest": fewest,
      "at least the random bits": fewest >= latentBits ? "yes" : "NO",
    };
  });
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
 * The decoder's loss against the loss of the autoencoder whose frozen encoder it is given, a curve a
 * series, and the losses to read it against.
 */
export function frozenCurve(
  results: readonly RunResult[],
  { frozen }: HandoverPreset,
): { rows: CurveRow[]; references: { label: string; y: number }[] } {
  const arms = summarizeArms(results);
  const loss = (name: string) => finalLosses(namedArm(arms, name));
  const { plain, training, kernels } = frozenSources(frozen);
  const rows = (arm: string, sources: readonly string[]) =>
    sources.flatMap((source) => {
      const x = mean(loss(source));
      return loss(names.frozen(source)).map((y, seed) => ({ arm, seed, x, y }));
    });
  const clm = names.frozen(autoencoderArm.causal("mixer"));
  const compared = [names.noEncoder, clm, names.trained(plain)];
  return {
    rows: [
      ...rows("frozen, autoencoders trained longer", training),
      ...rows("frozen, autoencoders of larger kernels", kernels),
    ],
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
