/**
 * A stack of LSTM layers as PyTorch's `nn.LSTM` makes it: the recurrent baseline that comparisons
 * with the paper's models ask for and the paper lacks. No norms, no residual paths; pads are
 * ordinary tokens.
 *
 * Legend: T positions, B batch, D width.
 */

import type { Tensor } from "../engine/mod.ts";
import { initLstm, type Lstm, lstm, type LstmState, lstmSteps } from "../layers/mod.ts";
import type { Random } from "../random.ts";

export type LstmConfig = Readonly<{
  architecture: "lstm";
  vocabSize: number;
  /** Positions, the memory slot of an augmented decoder included. */
  contextLength: number;
  width: number;
  layerCount: number;
}>;

export function initLstmBlocks({ width, layerCount }: LstmConfig, random: Random): Lstm[] {
  return Array.from(
    { length: layerCount },
    (_, index) => initLstm(random.stream(`${index}`), width),
  );
}

/** Embedded tokens `[T, B, D]` → hidden states `[T, B, D]`. */
export function recurrent(blocks: readonly Lstm[], embeddedTBD: Tensor): Tensor {
  return blocks.reduce((xTBD, layer) => lstm(layer, xTBD), embeddedTBD);
}

/** The same after the positions that the layers' states have read, and the states after them. */
export function recurrentSteps(
  blocks: readonly Lstm[],
  embeddedTBD: Tensor,
  states: readonly LstmState[],
): { xTBD: Tensor; blocks: LstmState[] } {
  const nextStates: LstmState[] = [];
  let xTBD = embeddedTBD;
  for (const [index, layer] of blocks.entries()) {
    const { statesTBD, state } = lstmSteps(layer, xTBD, states[index]!);
    nextStates.push(state);
    xTBD = statesTBD;
  }
  return { xTBD, blocks: nextStates };
}
