/** Notebook 03's claims (paper §2.7, §9 E12, E13, E16). */

import { mean } from "../measure/mod.ts";
import { type Join, JOINS } from "../models/mod.ts";
import {
  type ArmSummary,
  finalLosses,
  foreignLosses,
  lossesAt,
  minus,
  namedArm,
  priceNats,
  summarizeArms,
} from "./arm_summary.ts";
import { autoencoderArm } from "./autoencoder_arms.ts";
import { type ClaimContext, claimRow, type ClaimText, closeMargin } from "./claim_row.ts";
import type { ClaimRow } from "./claims.ts";
import { frozenSources } from "./frozen_arms.ts";
import { handoverArm as names } from "./handover_names.ts";
import type { AutoencoderPreset, HandoverPreset } from "./presets.ts";
import type { RunResult } from "./run.ts";

/** Every claim of the paper that the notebook tests, judged by rule (lib/measure/verdict.ts). */
export function handoverClaims(
  results: readonly RunResult[],
  preset: HandoverPreset,
  context: ClaimContext,
): ClaimRow[] {
  const arms = summarizeArms(results);
  const of = (name: string) => namedArm(arms, name);
  const rowOf = ({ seeds }: { seeds: readonly number[] }): Row => (text, differences) =>
    claimRow(text, differences, seeds, context);
  return [
    ...joinClaims(of, preset.joins, rowOf(preset.joins)),
    ...frozenClaims((name) => finalLosses(of(name)), preset.frozen, rowOf(preset.frozen)),
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
  const join = (to: "mixer" | "transformer", how: Join) => names.join("mixer", to, how);
  /**
   * Whether losses of these arms can tell anything of their embeddings: what a neighbour's embedding
   * costs must exceed the difference that would count as none.
   */
  const canTell = (arms: readonly string[]) =>
    arms.every((name) =>
      mean(minus(foreignLosses(of(name)), loss(name))) > closeMargin([loss(name)])
    );
  const closeJoins = (to: "mixer" | "transformer") => {
    const all = JOINS.map((how) => join(to, how)).sort((a, b) => mean(loss(a)) - mean(loss(b)));
    return { arms: all, farthest: minus(loss(all.at(-1)!), loss(all[0]!)) };
  };
  /** The loss with the embedding priced at 4 bits a number, the paper's L_norm. */
  const priced = (name: string, share: number) => {
    const arm = of(name);
    return lossesAt(arm, share).map((nats) => nats + priceNats(arm, 4));
  };
  const matched = { mixer: join("mixer", "embedding"), transformer: names.likeCausal };
  const gain = (family: "mixer" | "transformer") =>
    minus(loss(names.clm(family)), loss(matched[family]));
  const kernel = names.encoderKernel(small, "embedding");
  return [
    ...([["E12a", "mixer", "embedding"], ["E12b", "transformer", "token"]] as const).flatMap(
      ([experiment, to, best]) => {
        const { arms, farthest } = closeJoins(to);
        return [
          row({
            experiment,
            claim: `${to} decoder: the three joins are close, the farthest two within 2 %`,
            paper: "close",
            direction: "none",
            margin: closeMargin(arms.map(loss)),
            comparable: canTell(arms),
          }, farthest),
          ...JOINS.filter((other) => other !== best).map((other) =>
            row({
              experiment,
              claim: `${to} decoder: the ${best} join is below the ${other} join`,
              paper: "slightly lower",
            }, minus(loss(join(to, other)), loss(join(to, best))))
          ),
        ];
      },
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
    row(
      {
        experiment: "E13",
        claim:
          "transformer decoder, token join: a transformer's embedding is better than a mixer's",
        paper: "matched types beat mixed",
      },
      minus(
        loss(join("transformer", "token")),
        loss(names.join("transformer", "transformer", "token")),
      ),
    ),
    row({
      experiment: "E13",
      claim: "mixer decoder, token join: a mixer's embedding is better than a transformer's",
      paper: "matched types beat mixed",
    }, minus(loss(names.join("transformer", "mixer", "token")), loss(join("mixer", "token")))),
    row({
      experiment: "E13",
      claim: "the mixer EEM gains more over its CLM than the transformer EEM, raw",
      paper: "mixer gains most",
    }, minus(gain("mixer"), gain("transformer"))),
    row({
      experiment: "E16",
      claim: `embedding join: an encoder of ${mixingHeads} heads is above a flat one`,
      paper: "slightly worse",
    }, minus(loss(names.encoderHeads(mixingHeads)), loss(join("mixer", "embedding")))),
    row({
      experiment: "E16",
      claim: `embedding join: encoder kernel ${small} gains no 2 % over 1`,
      paper: "no gain",
      direction: "negative",
      margin: closeMargin([loss(kernel)]),
      comparable: canTell([kernel]),
    }, minus(loss(join("mixer", "embedding")), loss(kernel))),
    row(
      {
        experiment: "E16",
        claim: `token join: encoder kernel ${small} below kernel 1`,
        paper: "gain",
      },
      minus(loss(join("mixer", "token")), loss(names.encoderKernel(small, "token"))),
    ),
  ];
}

/** What the author's follow-up says of frozen encoders; the paper itself probably does not. */
function frozenClaims(
  loss: (name: string) => number[],
  preset: AutoencoderPreset,
  row: Row,
): ClaimRow[] {
  const { plain, training, kernels } = frozenSources(preset);
  const experiment = "§2.7";
  const series = (members: readonly string[], paper: string) =>
    members.slice(1).map((better, index) =>
      row({
        experiment,
        claim: `frozen encoders: that of “${better}” below that of “${members[index]}”`,
        paper,
      }, minus(loss(names.frozen(members[index]!)), loss(names.frozen(better))))
    );
  const farBelow = (claim: string, higher: string, lower: string) =>
    row({ experiment, claim, paper: "far below" }, minus(loss(higher), loss(lower)));
  const clm = autoencoderArm.causal("mixer");
  return [
    ...series(training, "better autoencoders, lower loss"),
    ...series(kernels, "better autoencoders, lower loss"),
    farBelow(
      "the plain autoencoder's frozen encoder is below the causal model's",
      names.frozen(clm),
      names.frozen(plain),
    ),
    farBelow(
      "the plain autoencoder's frozen encoder is below no encoder",
      names.noEncoder,
      names.frozen(plain),
    ),
    ...[plain, kernels.at(-1)!].map((name) =>
      farBelow(
        `“${name}”: a trained encoder is below the frozen one`,
        names.frozen(name),
        names.trained(name),
      )
    ),
    row({
      experiment,
      claim: "plain autoencoder: twice the decoder's depth changes nothing, within 2 %",
      paper: "nothing",
      direction: "none",
      margin: closeMargin([loss(names.frozen(plain))]),
    }, minus(loss(names.frozen(plain)), loss(names.deeper(plain)))),
  ];
}
