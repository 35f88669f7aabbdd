/**
 * One LSTM layer as PyTorch's `nn.LSTM` computes it: the recurrent baseline of the comparisons, which
 * the paper lacks.
 *
 *   [a_i a_f a_g a_o] = x W_input + b_input + h W_hidden + b_hidden
 *   i = σ(a_i);   f = σ(a_f);   g = tanh(a_g);   o = σ(a_o)
 *   c ← f ⊙ c + i ⊙ g;   h ← o ⊙ tanh(c)
 *
 * from h = c = 0 on; the output is h at every position.
 *
 * Legend: T positions, B batch, D width, G = 4D the gates' channels.
 */

import {
  add,
  mul,
  sigmoid,
  slice,
  stack,
  tanh,
  type Tensor,
  unstack,
  zeros,
} from "../engine/mod.ts";
import type { Random } from "../random.ts";
import { initUniform } from "./init.ts";
import { type Linear, linear } from "./linear.ts";

/** Weights `[D, 4D]` and biases `[4D]`, the gates side by side: input, forget, cell, output. */
export type Lstm = { input: Linear; hidden: Linear };

/** PyTorch's default: everything U(±1/√D). */
export function initLstm(random: Random, width: number): Lstm {
  const draw = (name: string) => {
    const stream = random.stream(name);
    return {
      weight: initUniform(stream.stream("weight"), [width, 4 * width], width),
      bias: initUniform(stream.stream("bias"), [4 * width], width),
    };
  };
  return { input: draw("input"), hidden: draw("hidden") };
}

/** What the layer remembers of the positions it has read: h and c of the equations, `[B, D]`. */
export type LstmState = Readonly<{ hiddenBD: Tensor; cellBD: Tensor }>;

/** The state before the first position. */
export function lstmStart(batch: number, width: number): LstmState {
  return { hiddenBD: zeros([batch, width]), cellBD: zeros([batch, width]) };
}

/** Hidden states of x `[T, B, D]`, from a state of zeros, in steps from the first to the last. */
export function lstm(layer: Lstm, xTBD: Tensor): Tensor {
  const [, batch, width] = xTBD.shape as [number, number, number];
  return lstmSteps(layer, xTBD, lstmStart(batch, width)).statesTBD;
}

/** Hidden states of x `[T, B, D]` after those that `state` has read, and the state after them. */
export function lstmSteps(
  layer: Lstm,
  xTBD: Tensor,
  state: LstmState,
): { statesTBD: Tensor; state: LstmState } {
  const [, batch, width] = xTBD.shape as [number, number, number];
  let { hiddenBD, cellBD } = state;
  const statesBD: Tensor[] = [];
  for (const inputBG of unstack(linear(layer.input, xTBD))) {
    const gatesBG = add(inputBG, linear(layer.hidden, hiddenBD));
    const gate = (index: number) => slice(gatesBG, [0, index * width], [batch, width]);
    const added = mul(sigmoid(gate(0)), tanh(gate(2)));
    cellBD = add(mul(sigmoid(gate(1)), cellBD), added);
    hiddenBD = mul(sigmoid(gate(3)), tanh(cellBD));
    statesBD.push(hiddenBD);
  }
  return { statesTBD: stack(statesBD), state: { hiddenBD, cellBD } };
}
