/** Notebook 07's claims: what the paper says of quantization and noise (§6, §9 E18, E19). */

import { type ArmSummary, finalLosses, findArm, minus, summarizeArms } from "./arm_summary.ts";
import { type ClaimContext, claimRow, type ClaimText, closeMargin } from "./claim_row.ts";
import type { ClaimRow } from "./claims.ts";
import type { DataSpec } from "./data.ts";
import { BOTTLENECK, quantizationArm, quantizationFamily } from "./quantization_arms.ts";
import type { QuantizationPreset } from "./quantization_presets.ts";
import {
  bottleneckLead,
  costsOf,
  embeddingActivations,
  lossesUnder,
  otherCosts,
  PAPER_COSTS,
  rounded,
} from "./quantization_summary.ts";
import type { RunResult } from "./run.ts";

/** Of the loss: what the paper calls hardly any cost of Int8 (§6.1). */
const CAUSAL_SHARE = 2;

/** Differences over seeds, judged by rule (lib/measure/verdict.ts), on text and on known bits. */
export function quantizationClaims(
  results: readonly RunResult[],
  preset: QuantizationPreset,
  context: ClaimContext,
): ClaimRow[] {
  const { text, known } = preset;
  const arms = summarizeArms(results);
  const causal = findArm(arms, quantizationFamily.text, quantizationArm.causal);
  const plain = findArm(arms, quantizationFamily.text, quantizationArm.plain);
  const shareLost = (arm: ArmSummary) =>
    costsOf(arm, rounded.int8All).map((cost, at) => 100 * cost / finalLosses(arm)[at]!);
  const everywhere = {
    experiment: "E18",
    metric: "cost of Int8 in all products, share of the loss",
    unit: "%",
    paper: null,
  };
  return [
    claimRow(
      {
        ...everywhere,
        claim: "text: Int8 of a causal model costs less than 2 %",
        direction: "none",
        margin: CAUSAL_SHARE,
      },
      shareLost(causal),
      text.seeds,
      context,
    ),
    claimRow(
      { ...everywhere, claim: "text: Int8 of an EEM costs more than of a causal model" },
      minus(shareLost(plain), shareLost(causal)),
      text.seeds,
      context,
    ),
    ...partClaims(results, preset, "text", minus(finalLosses(causal), finalLosses(plain)), context),
    ...partClaims(results, preset, "known", [sourceNats(known.data)], context),
  ];
}

/** What sequences of known bits cost a model without an embedding, nats per token. */
function sourceNats(data: DataSpec): number {
  if (!("source" in data)) throw new RangeError("known bits: expected data of a latent source");
  return data.source.latentBits * Math.LN2 / (data.contextLength - 1);
}

/** @param given What the embedding gives, nats; "hardly any" is 2 % of it. */
function partClaims(
  results: readonly RunResult[],
  { sweepFormat, noiseWidth, residualWidth, ...preset }: QuantizationPreset,
  part: keyof typeof quantizationFamily,
  given: readonly number[],
  context: ClaimContext,
): ClaimRow[] {
  const { noiseWidths, seeds } = preset[part];
  const family = quantizationFamily[part];
  const arms = summarizeArms(results);
  const of = (name: string) => findArm(arms, family, name);
  const plain = of(quantizationArm.plain);
  const noise = of(quantizationArm.noise(noiseWidth));
  const residual = of(quantizationArm.residual(residualWidth));
  const widest = of(quantizationArm.noise(Math.max(...noiseWidths.filter((width) => width < 1))));
  const row = (
    { claim, ...text }: Omit<ClaimText, "paper"> & { paper?: number },
    differences: readonly number[],
  ) =>
    claimRow({ paper: null, claim: `${family}: ${claim}`, ...text }, differences, seeds, context);
  const embedding = (arm: ArmSummary, format: string) => costsOf(arm, rounded.embedding(format));
  const lossIn = (arm: ArmSummary, format: string) => lossesUnder(arm, rounded.embedding(format));
  const margin = closeMargin([given]);
  // An embedding that gives nothing, after few steps, has nothing to lose.
  const none = { direction: "none", margin, comparable: margin > 0 } as const;
  const paper = PAPER_COSTS;

  const lost = (claim: string, format: string, paper?: number) =>
    row({
      experiment: "E18",
      claim,
      metric: `cost of ${format} for the embedding`,
      ...(paper !== undefined && { paper }),
    }, embedding(plain, format));
  const kept = (claim: string, format: string, paper: number) =>
    row(
      { experiment: "E18", claim, metric: `cost of ${format} for the embedding`, paper, ...none },
      embedding(plain, format),
    );
  const saved = (format: "e4m3fn" | "e5m2") =>
    row({
      experiment: "E19",
      claim: `noise makes the embedding bear ${format}`,
      metric: `cost of ${format} for the embedding, no noise − noise`,
      paper: difference(paper["no noise"][format], paper.noise[format]),
    }, minus(embedding(plain, format), embedding(noise, format)));

  return [
    kept("without noise fp16 costs nothing", "fp16", 0),
    kept("without noise bf16 costs about nothing", "bf16", paper["no noise"].bf16),
    lost("without noise Int8 of the embedding costs", "int8/row", paper["no noise"]["llm.int8"]),
    row({
      experiment: "E18",
      claim: "without noise Int8 of up costs more than Int8 of the embedding",
      metric: "cost of int8/row, up − the embedding",
      paper: difference(paper["no noise"].int8Up, paper["no noise"]["llm.int8"]),
    }, minus(costsOf(plain, rounded.int8Up), costsOf(plain, rounded.int8Probe))),
    lost("without noise e4m3fn costs", "e4m3fn", paper["no noise"].e4m3fn),
    row({
      experiment: "E18",
      claim: "without noise e5m2 costs more than e4m3fn",
      metric: "cost for the embedding, e5m2 − e4m3fn",
      paper: difference(paper["no noise"].e5m2, paper["no noise"].e4m3fn),
    }, minus(embedding(plain, "e5m2"), embedding(plain, "e4m3fn"))),
    ...BOTTLENECK.map((module) =>
      row({
        experiment: "E18",
        claim: `without noise ${module} is more sensitive than the other modules`,
        metric: `cost of ${sweepFormat} for outputs, ${module} − greatest but down and up`,
      }, bottleneckLead(plain, module, "output", sweepFormat))
    ),
    row({
      experiment: "E19",
      claim: "noise costs no loss of its own",
      metric: "held-out loss, not rounded, noise − no noise",
      ...none,
    }, minus(finalLosses(noise), finalLosses(plain))),
    saved("e4m3fn"),
    saved("e5m2"),
    row({
      experiment: "E19",
      claim: `with noise the model is better when the embedding is ${sweepFormat}`,
      metric: `held-out loss with the embedding in ${sweepFormat}, no noise − noise`,
    }, minus(lossIn(plain, sweepFormat), lossIn(noise, sweepFormat))),
    row({
      experiment: "E19",
      claim: "with noise down is no more sensitive than the other modules",
      metric: `cost of ${sweepFormat} for outputs, down − greatest but down and up`,
      ...none,
    }, bottleneckLead(noise, "down", "output", sweepFormat)),
    row({
      experiment: "E19",
      claim: "with noise Int8 of the embedding costs nothing",
      metric: "cost of int8/row for the embedding",
      paper: paper.noise["llm.int8"],
      ...none,
    }, embedding(noise, "int8/row")),
    row({
      experiment: "E19",
      claim: "residual noise makes it bear e5m2 better than plain noise",
      metric: "held-out loss with the embedding in e5m2, noise − residual noise",
      paper: difference(paper.noise.e5m2, paper["residual noise"].e5m2),
    }, minus(lossIn(noise, "e5m2"), lossIn(residual, "e5m2"))),
    ...(["output", "weight"] as const).map((site) =>
      row({
        experiment: "E19",
        claim: `noise makes the ${site}s of all other modules bear ${sweepFormat}`,
        metric: `costs of modules but down and up added up, no noise − noise`,
      }, minus(otherCosts(plain, site, sweepFormat), otherCosts(noise, site, sweepFormat)))
    ),
    row({
      experiment: "E19",
      claim: "the widest noise is no better",
      metric: "held-out loss, not rounded, widest noise of the paper − noise",
    }, minus(finalLosses(widest), finalLosses(noise))),
    row({
      experiment: "E19",
      claim: `the widest noise is no better when the embedding is ${sweepFormat}`,
      metric: `held-out loss with the embedding in ${sweepFormat}, widest noise − noise`,
    }, minus(lossIn(widest, sweepFormat), lossIn(noise, sweepFormat))),
    row({
      experiment: "E19",
      claim: "noise widens the embedding",
      metric: "standard deviation of its numbers, noise − no noise",
      unit: "",
    }, minus(deviations(noise), deviations(plain))),
    row({
      experiment: "E19",
      claim: "noise flattens the embedding",
      metric: "excess kurtosis of its numbers, no noise − noise",
      unit: "",
    }, minus(kurtoses(plain), kurtoses(noise))),
  ];
}

const deviations = (arm: ArmSummary) => embeddingActivations(arm).map((one) => one.deviation);
const kurtoses = (arm: ArmSummary) => embeddingActivations(arm).map((one) => one.excessKurtosis);

/** To the digits that the paper gives. */
const difference = (a: number, b: number) => Number((a - b).toFixed(4));
