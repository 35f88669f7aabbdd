/** AdamW with clipping by the global norm (paper §7), as a pure function of parameter trees. */

import {
  add,
  div,
  leavesOf,
  mapTree,
  maximum,
  mul,
  slice,
  sqrt,
  square,
  sub,
  sum,
  type Tensor,
  tensor,
  type Tree,
  withLeaves,
  zerosLike,
} from "../engine/mod.ts";

export type AdamWConfig = Readonly<{
  beta1: number;
  beta2: number;
  epsilon: number;
  weightDecay: number;
  /** Gradients are scaled down to this global norm when theirs is larger. */
  clipNorm: number;
}>;

/** The paper's values (§7). */
export const ADAMW_DEFAULTS: AdamWConfig = {
  beta1: 0.9,
  beta2: 0.999,
  epsilon: 1e-8,
  weightDecay: 0,
  clipNorm: 1,
};

/** Parameters and the running first and second moments of their gradients. */
export type TrainState<P extends Tree> = { params: P; firstMoment: P; secondMoment: P };

export function initTrainState<P extends Tree>(params: P): TrainState<P> {
  return {
    params,
    firstMoment: mapTree(params, (leaf) => zerosLike(leaf)),
    secondMoment: mapTree(params, (leaf) => zerosLike(leaf)),
  };
}

/**
 * The numbers of update `step` (from 0) that the compiled step takes as an input `[3]`: learning
 * rate, and the moments' bias corrections `1 − β₁ᵗ` and `1 − β₂ᵗ` with t = step + 1.
 */
export function stepScalars(
  rate: number,
  step: number,
  { beta1, beta2 }: AdamWConfig = ADAMW_DEFAULTS,
): Tensor {
  return tensor([rate, 1 - beta1 ** (step + 1), 1 - beta2 ** (step + 1)]);
}

/** One update. Returns the new state and the gradient's global norm before clipping. */
export function adamw<P extends Tree>(
  state: TrainState<P>,
  gradient: P,
  scalars: Tensor,
  { beta1, beta2, epsilon, weightDecay, clipNorm }: AdamWConfig = ADAMW_DEFAULTS,
): { state: TrainState<P>; gradientNorm: Tensor } {
  const [rate, correction1, correction2] = [0, 1, 2].map((i) => slice(scalars, [i], [1]));
  const gradients = leavesOf(gradient);
  const squares = gradients.map((leaf) => sum(square(leaf)));
  const gradientNorm = sqrt(squares.reduce((total, one) => add(total, one)));
  // torch.nn.utils.clip_grad_norm_: scale = min(1, clipNorm / (norm + 1e-6)).
  const scale = div(clipNorm, maximum(add(gradientNorm, 1e-6), clipNorm));
  const moments1 = leavesOf(state.firstMoment);
  const moments2 = leavesOf(state.secondMoment);
  const updated = leavesOf(state.params).map((parameter, i) => {
    const clipped = mul(gradients[i]!, scale);
    const first = add(mul(moments1[i]!, beta1), mul(clipped, 1 - beta1));
    const second = add(mul(moments2[i]!, beta2), mul(square(clipped), 1 - beta2));
    const direction = div(div(first, correction1!), add(sqrt(div(second, correction2!)), epsilon));
    const decayed = weightDecay === 0
      ? parameter
      : sub(parameter, mul(mul(parameter, weightDecay), rate!));
    return { parameter: sub(decayed, mul(direction, rate!)), first, second };
  });
  return {
    state: {
      params: withLeaves(state.params, updated.map((leaf) => leaf.parameter)),
      firstMoment: withLeaves(state.firstMoment, updated.map((leaf) => leaf.first)),
      secondMoment: withLeaves(state.secondMoment, updated.map((leaf) => leaf.second)),
    },
    gradientNorm,
  };
}
