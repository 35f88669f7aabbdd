/**
 * Notebook 01's claims, each the paper's own words or numbers against ours, and its controls, which
 * the paper lacks.
 *
 * The paper's margins are priced, not rounded, so ours beside them are too; each row says on which
 * layout and after how much training the paper's number was measured (paper §3.3).
 */

import {
  type ArmSummary,
  differenceOf,
  finalLosses,
  findArm,
  foreignLosses,
  minus,
  paidLosses,
  priceNats,
  summarizeArms,
} from "./arm_summary.ts";
import { CLM, eemArm, REFERENCE_START, WIDE_CLM, ZEROS } from "./baseline_arms.ts";
import { fullWindowLosses, hasPadding, leadAt } from "./baseline_summary.ts";
import { type ClaimContext, claimRow, type ClaimText } from "./claim_row.ts";
import type { ClaimRow } from "./claims.ts";
import type { RunResult } from "./run.ts";

/** Every claim of the paper that the notebook tests, judged by rule (lib/measure/verdict.ts). */
export function baselineClaims(results: readonly RunResult[], context: ClaimContext): ClaimRow[] {
  const arms = summarizeArms(results);
  const eem = eemArm(embeddingSizes(results)[0]!);
  const row = (text: ClaimText, differences: readonly number[]) =>
    claimRow(text, differences, arms[0]!.seeds, context);

  const rows: ClaimRow[] = [];
  for (const family of ["mixer", "transformer"] as const) {
    const clm = findArm(arms, family, CLM);
    const augmented = findArm(arms, family, eem);
    const paperHas = <T>(value: T) => family === "transformer" ? value : null;
    rows.push(
      row({
        experiment: "E17",
        claim: `${family}, packed: the raw loss of the EEM is below the CLM's`,
        paper: paperHas(0.107),
      }, minus(finalLosses(clm), finalLosses(augmented))),
      row({
        experiment: "E14",
        claim: `${family}: CLM − EEM grows, here from the middle of training to its end`,
        paper: "grows",
      }, minus(leadAt(clm, augmented, 1), leadAt(clm, augmented, 0.5))),
      row({
        experiment: "E17",
        claim: `${family}, packed: priced at 4 bits the EEM is behind`,
        paper: paperHas(-0.066),
        direction: "negative",
      }, minus(finalLosses(clm), pricedLosses(augmented, 4))),
      row({
        experiment: "E17",
        claim: `${family}, packed: priced at 8 bits the EEM is behind`,
        paper: paperHas(-0.24),
        direction: "negative",
      }, minus(finalLosses(clm), pricedLosses(augmented, 8))),
    );
  }
  const lead = (family: string) =>
    leadAt(findArm(arms, family, CLM), findArm(arms, family, eem), 1);
  rows.push(
    row({
      experiment: "E14",
      claim: "late in training the raw lead of the mixer EEM is larger than the transformer's",
      paper: "larger",
      comparable: false,
    }, minus(lead("mixer"), lead("transformer"))),
    row(
      {
        experiment: "E15",
        claim:
          "transformer, after long training (33 billion tokens): priced at 4 bits the EEM is ahead",
        paper: 0.185,
        comparable: false,
      },
      minus(
        finalLosses(findArm(arms, "transformer", CLM)),
        pricedLosses(findArm(arms, "transformer", eem), 4),
      ),
    ),
  );
  if (arms.some((arm) => arm.layout === "padded")) {
    const clm = findArm(arms, "transformer", CLM, "padded");
    const augmented = findArm(arms, "transformer", eem, "padded");
    const comparable = hasPadding(clm);
    const all = minus(finalLosses(clm), finalLosses(augmented));
    const full = minus(fullWindowLosses(clm), fullWindowLosses(augmented));
    rows.push(
      row({
        experiment: "E17",
        claim: "transformer, padded, all samples: the raw loss of the EEM is below the CLM's",
        paper: 0.201,
        comparable,
      }, all),
      row({
        experiment: "E17",
        claim: "transformer, padded, full samples only: the same",
        paper: 0.11,
        comparable,
      }, full),
      row({
        experiment: "E17",
        claim: "transformer, padded: the lead over all samples is larger than over full ones",
        paper: 0.091,
        comparable,
      }, minus(all, full)),
      row({
        experiment: "E17",
        claim: "transformer, padded: priced at 4 bits over N positions the EEM is ahead",
        paper: 0.028,
        comparable,
      }, minus(finalLosses(clm), pricedLosses(augmented, 4))),
    );
  }
  return rows;
}

/** A control of our own: no claim of the paper, so no verdict, but a statement that must hold. */
export type Control = Readonly<{
  control: string;
  "nats/token": number;
  "95 % interval": string;
  outcome: "holds" | "undecided" | "does not hold";
}>;

/** What a lead must survive to be believed, family by family. */
export function baselineControls(results: readonly RunResult[]): Control[] {
  const arms = summarizeArms(results);
  const sizes = embeddingSizes(results);
  const eem = eemArm(sizes[0]!);
  return (["mixer", "transformer"] as const).flatMap((family) => {
    const of = (arm: string) => findArm(arms, family, arm);
    const clm = finalLosses(of(CLM));
    return [
      control(
        `${family}: ${eem}: better than the twin with a slot of zeros`,
        minus(finalLosses(of(ZEROS)), finalLosses(of(eem))),
      ),
      control(
        `${family}: ${eem}: a neighbour's embedding is worse than the sequence's own`,
        minus(foreignLosses(of(eem)), finalLosses(of(eem))),
      ),
      control(
        `${family}: ${eem}: raw, better than a CLM of its parameter count`,
        minus(finalLosses(of(WIDE_CLM)), finalLosses(of(eem))),
      ),
      ...sizes.map((size) =>
        control(
          `${family}: ${
            eemArm(size)
          }: ahead of the CLM with the embedding rounded to 4 bits and paid for`,
          minus(clm, paidLosses(of(eemArm(size)), 4)),
        )
      ),
      ...(family === "transformer"
        ? [control(
          `${family}: ${eem}: better than with the reference's initialization`,
          minus(finalLosses(of(REFERENCE_START)), finalLosses(of(eem))),
        )]
        : []),
    ];
  });
}

function control(statement: string, differences: readonly number[]): Control {
  const { mean, low, high } = differenceOf(differences, differences.map(() => 0));
  const single = differences.length === 1;
  return {
    control: statement,
    "nats/token": mean,
    "95 % interval": single ? "–" : `${low.toFixed(4)} … ${high.toFixed(4)}`,
    outcome: !single && low > 0 ? "holds" : !single && high < 0 ? "does not hold" : "undecided",
  };
}

/** Sizes of the embeddings in the order of the preset: the first has the paper's bits per token. */
function embeddingSizes(results: readonly RunResult[]): number[] {
  const sizes = results.map((run) => run.config.facts.embeddingSize).filter((size) => size > 0);
  return [...new Set(sizes)];
}

/** The unrounded loss plus the embedding's price, the paper's L_norm (paper §3.1), seed by seed. */
function pricedLosses(arm: ArmSummary, bits: number): number[] {
  return finalLosses(arm).map((loss) => loss + priceNats(arm, bits));
}
