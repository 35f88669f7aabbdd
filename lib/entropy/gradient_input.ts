/**
 * Gradient × input (paper §4.4): how much the logits that predict a token hang on the memory,
 *
 *   s_i = Σ_v |O_iv|,   attribution_i = Σ_j |∂s_i/∂m_j · m_j|
 *
 * with m the memory as it meets the decoder's tokens: the vector in the slot of a token join or
 * added to all tokens in a linear join, z itself in an embedding join. The attribution has no unit.
 *
 * Every output needs a backward pass of its own. Here they go side by side: the window is repeated
 * in R rows, each with a copy of m, and row r adds the s_i of one output to a sum. As rows do not
 * meet, the gradient of the sum is, row by row, the gradient of each s_i.
 *
 * Legend: N tokens a window, T predicted tokens, B windows, R rows, M memory width, V vocabulary.
 */

import { abs, expandDims, mul, sum, tensor, transpose, valueAndGradient } from "../engine/mod.ts";
import { decoderLogits, encodeSequence, memoryOf, visibleTokens } from "../models/mod.ts";
import type { WindowIds } from "../text/mod.ts";
import {
  compileMeasure,
  type EstimatedModel,
  type EstimateOptions,
  type ModelWithMemory,
  requireMemory,
  requireWindows,
  type RowInputs,
  type WindowEstimates,
  windowEstimates,
} from "./window_estimates.ts";

/**
 * How much the prediction of every token hangs on the memory.
 *
 * @param options `batchSize` is the number of rows of a backward pass.
 * @throws UserError when the model has no memory, or the windows do not fit it.
 */
export async function gradientTimesInput(
  model: EstimatedModel,
  windows: WindowIds,
  options: EstimateOptions = {},
): Promise<WindowEstimates> {
  const withMemory = requireMemory(model, "gradient-input");
  const { config, params, padId } = withMemory;
  requireWindows(config, windows);
  const predicted = windowEstimates(windows, padId, (_, position) => position)
    .map((row) => row.filter((position) => position !== null));
  const memories = compileMemories(withMemory, options);
  const attribute = compileAttribution(withMemory, options);
  const attributions: Map<number, number>[] = [];
  try {
    for await (const { memory } of memories(params, windows)) {
      const window = attributions.length;
      const positions = predicted[window]!;
      const repeated = repeatWindow(windows, window, positions.length);
      const inputs = rowInputs(memory, positions, windows.contextLength);
      const ofPosition = new Map<number, number>();
      for await (const { attribution } of attribute(params, repeated, inputs)) {
        ofPosition.set(positions[ofPosition.size]!, attribution[0]!);
      }
      attributions.push(ofPosition);
    }
  } finally {
    memories.dispose();
    attribute.dispose();
  }
  return windowEstimates(
    windows,
    padId,
    (window, position) => attributions[window]!.get(position)!,
  );
}

/** The memory of every window, M numbers each. */
function compileMemories({ config, padId }: ModelWithMemory, options: EstimateOptions) {
  return compileMeasure(
    "memories",
    (params: ModelWithMemory["params"], idsNB) => {
      const zBP = encodeSequence(config, params, idsNB, visibleTokens(idsNB, padId));
      return { memory: transpose(memoryOf(params, zBP)) };
    },
    options,
  );
}

/** The attribution of one output a row, given each row's memory and the output as a 1 among zeros. */
function compileAttribution({ config, padId }: ModelWithMemory, options: EstimateOptions) {
  return compileMeasure(
    "gradient times input",
    (params: ModelWithMemory["params"], idsNR, memoryRM, outputRT) => {
      const visibleRN = visibleTokens(idsNR, padId);
      const { gradient } = valueAndGradient((memoryRM) => {
        const logits = decoderLogits(config, params, memoryRM, idsNR, visibleRN);
        return sum(mul(sum(abs(logits), 2), transpose(outputRT)));
      }, memoryRM);
      return { attribution: expandDims(sum(abs(mul(gradient, memoryRM)), 1), 0) };
    },
    options,
  );
}

function repeatWindow({ contextLength, ids }: WindowIds, window: number, count: number): WindowIds {
  const row = ids.subarray(window * contextLength, (window + 1) * contextLength);
  const repeated = Int32Array.from(
    { length: count * contextLength },
    (_, at) => row[at % contextLength]!,
  );
  return { contextLength, count, ids: repeated };
}

/** Row r has a copy of the memory, and the output that predicts the token at `positions[r]`. */
function rowInputs(
  memory: Float32Array,
  positions: readonly number[],
  contextLength: number,
): RowInputs {
  const outputs = contextLength - 1;
  return (rows) => {
    const chosen = new Float32Array(rows.length * outputs);
    rows.forEach((number, row) => chosen[row * outputs + positions[number]! - 1] = 1);
    const copies = rows.flatMap(() => [...memory]);
    return [
      tensor(copies, [rows.length, memory.length]),
      tensor(chosen, [rows.length, outputs]),
    ];
  };
}
