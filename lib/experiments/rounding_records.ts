/** What rounding costs a trained run, module by module, and how its activations are spread. */

import {
  type ActivationStatistics,
  activationStatistics,
  type QuantizedLoss,
  quantizedLosses,
  type QuantizedModel,
  sensitivityConditions,
} from "../measure/mod.ts";
import type { TrainingData } from "../train/mod.ts";
import type { RunSpec } from "./run_spec.ts";

export type RoundingRecord =
  | (Readonly<{ type: "measurement"; what: "rounded modules" }> & QuantizedLoss)
  | (Readonly<{ type: "measurement"; what: "activations" }> & ActivationStatistics);

/** What `rounding` of the run's specification asks for; nothing without it. */
export async function measureRounding(
  model: QuantizedModel,
  { heldOut }: TrainingData,
  { rounding, training: { batchSize } }: RunSpec,
): Promise<RoundingRecord[]> {
  if (rounding === undefined) return [];
  const { conditions = [], sweep, activations = [] } = rounding;
  const all = [...conditions, ...sweep ? sensitivityConditions(model.params, sweep) : []];
  const records: RoundingRecord[] = [];
  for await (const loss of quantizedLosses(model, heldOut, all, { batchSize })) {
    records.push({ type: "measurement", what: "rounded modules", ...loss });
  }
  if (activations.length === 0) return records;
  const described = await activationStatistics(model, heldOut, activations, { batchSize });
  for (const statistics of described) {
    records.push({ type: "measurement", what: "activations", ...statistics });
  }
  return records;
}
