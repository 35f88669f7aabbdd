/** Notebook 01's runs summarized: rows for its figures and tables. */

import type { LeadRow } from "../figures/mod.ts";
import { bitsPerByte, mean, meanInterval } from "../measure/mod.ts";
import {
  type ArmSummary,
  differenceOf,
  finalLosses,
  findArm,
  flatten,
  foreignLosses,
  hasEmbedding,
  lossesAt,
  minus,
  paidLosses,
  priceNats,
  roundedLosses,
} from "./arm_summary.ts";
import { CLM, PRICED_BITS, REFERENCE_START, ROUNDED_BITS } from "./baseline_arms.ts";

/**
 * Loss over held-out windows without padding; the plain loss for packed layouts.
 *
 * @throws RangeError when no window of a padded run was full.
 */
export function fullWindowLosses(arm: ArmSummary): number[] {
  if (arm.layout === "packed") return finalLosses(arm);
  return arm.runs.map((run) => {
    const full = run.records.find((record) =>
      record.type === "measurement" && record.what === "full windows"
    );
    if (full === undefined || !("lossNats" in full)) {
      throw new RangeError(`no evaluation of ${run.config.id} over full windows`);
    }
    return full.lossNats;
  });
}

/** The lead over the CLM, rounded but not paid for, against the price (paper §9 E13). */
export function leadsAndPrices(arms: readonly ArmSummary[]): LeadRow[] {
  const shown = arms.filter(({ arm, layout }) =>
    layout === "packed" && arm !== CLM && arm !== REFERENCE_START
  );
  return shown.flatMap((arm) => {
    const clm = finalLosses(findArm(arms, arm.family, CLM));
    return (hasEmbedding(arm) ? PRICED_BITS : [4]).map((bits) => {
      const lead = differenceOf(clm, roundedLosses(arm, bits));
      return {
        arm: arm.arm,
        family: arm.family,
        label: hasEmbedding(arm) ? `${bits} bits` : arm.arm,
        priceNats: priceNats(arm, bits),
        leadNats: lead.mean,
        low: lead.low,
        high: lead.high,
      };
    });
  });
}

/** One line per arm for a table: sizes, losses, bits per byte. */
export function armTable(arms: readonly ArmSummary[]): Record<string, string | number>[] {
  return arms.map((arm) => {
    const { facts } = arm.runs[0]!.config;
    const bpb = (lossNats: number) => bitsPerByte(lossNats, facts.bytesPerToken);
    const loss = mean(finalLosses(arm));
    const spread = arm.seeds.length > 1 ? flatten(meanInterval(finalLosses(arm))) : null;
    return {
      family: arm.family,
      layout: arm.layout,
      arm: arm.arm,
      parameters: facts.parameterCount,
      "loss (nats)": loss,
      "± 95 %": spread === null ? "" : ((spread.high - spread.low) / 2).toFixed(3),
      "paid, 4 bits": mean(paidLosses(arm, 4)),
      "paid, 8 bits": mean(paidLosses(arm, 8)),
      "BPB, raw": bpb(loss),
      "BPB, paid 4 bits": bpb(mean(paidLosses(arm, 4))),
      "BPB, paid 8 bits": bpb(mean(paidLosses(arm, 8))),
    };
  });
}

/** One line per packed EEM: its loss with its own embedding, with a rounded and a foreign one. */
export function embeddingTable(arms: readonly ArmSummary[]): Record<string, string | number>[] {
  return arms.filter((arm) => arm.layout === "packed" && hasEmbedding(arm)).map((arm) => {
    const own = mean(finalLosses(arm));
    const rounded = ROUNDED_BITS.map((bits) =>
      [`${bits} bits`, mean(roundedLosses(arm, bits)) - own] as const
    );
    return {
      family: arm.family,
      arm: arm.arm,
      "own embedding": own,
      ...Object.fromEntries(rounded.map(([name, cost]) => [`${name}: loss by rounding`, cost])),
      "a neighbour's: loss": mean(foreignLosses(arm)) - own,
    };
  });
}

/** The padded arms: losses over all and over full windows, and both ways of paying (paper §3.3). */
export function paddedTable(arms: readonly ArmSummary[]): Record<string, string | number>[] {
  const rows = arms.filter((arm) => arm.layout === "padded").map((arm) => ({
    arm: arm.arm,
    "real tokens a window": arm.runs[0]!.config.facts.meanRealTokens,
    "loss, all": mean(finalLosses(arm)),
    "loss, full windows": mean(fullWindowLosses(arm)),
    "paid 4 bits, over N": mean(paidLosses(arm, 4)),
    "paid 4 bits, over real tokens": mean(paidLosses(arm, 4, "real tokens")),
    "paid 8 bits, over N": mean(paidLosses(arm, 8)),
    "paid 8 bits, over real tokens": mean(paidLosses(arm, 8, "real tokens")),
  }));
  return rows.length > 0 ? rows : [{ arm: "this preset trains no padded arms" }];
}

/** Whether any held-out window of the arm has pads. */
export function hasPadding({ runs }: ArmSummary): boolean {
  const { spec, facts } = runs[0]!.config;
  return facts.meanRealTokens < spec.data.contextLength;
}

/** CLM − EEM in held-out loss at a share of the run, seed by seed, at the nearest evaluation. */
export function leadAt(clm: ArmSummary, eem: ArmSummary, share: number): number[] {
  return minus(lossesAt(clm, share), lossesAt(eem, share));
}
