/**
 * Training for quantization (paper §6.2): uniform noise, as an image of the rounding to come, or
 * rounding itself with straight-through gradients, which is what others do. Both act in training
 * alone; evaluations are plain unless they ask for the same hooks.
 *
 *   embedding:  m = up(z + U),  z = down(x)
 *   residual:   z = down(x + U/2):  the paper's down(x + (x + U)), halved, so that without noise
 *               it is the plain model; down's weights take up the factor
 *   outputs:    y + U for the output y of each of some modules
 *   weights:    W + U for the weight W of each of some modules
 *
 * U(−w/2, w/2), or U(0, w) if one-sided, as in the reference's code. With `fake-quantization` the
 * nearest number of a format stands in the place of each sum.
 *
 * A model that is given noise of a fixed width can make its numbers larger until the noise is small
 * beside them. Two forms that the paper lacks leave it no such way: _relative_ noise is a share of
 * each number, as the rounding of floating-point formats is; _standardized_ noise is a share of their
 * standard deviation, as the rounding of integers with equal steps is.
 */

import {
  add,
  mean,
  mul,
  randomUniform,
  sqrt,
  square,
  straightThrough,
  sub,
  type Tensor,
  tensor,
  type Tree,
} from "../engine/mod.ts";
import { UserError } from "../errors.ts";
import { type Hooks, type ModuleHooks, pickModules, type TensorHook } from "../layers/mod.ts";
import { checkQuantization, fakeQuantize, type Quantization } from "./quantization.ts";

export type QuantizationAwareTraining = NoiseInjection | FakeQuantization;

/** `outputs` and `weights` are those of some modules, by name, or of all, the default. */
export type NoiseInjection =
  & Readonly<{
    method: "noise";
    /** w, the width of the uniform distribution. */
    width: number;
    /** One-sided noise is U(0, w), whose mean the next bias takes up. */
    oneSided?: boolean;
    /** Relative noise is a share of each number, x U in the place of U: not in the paper. */
    relative?: boolean;
    /** The width is in standard deviations of the batch's numbers: not in the paper. */
    standardized?: boolean;
    at: (typeof NOISE_SITES)[number];
  }>
  & SomeModules;

export type FakeQuantization =
  & Readonly<{
    method: "fake-quantization";
    quantization: Quantization;
    at: (typeof ROUNDING_SITES)[number];
  }>
  & SomeModules;

type SomeModules = Readonly<{ modules?: readonly string[] | "all" }>;

export const ROUNDING_SITES = ["embedding", "outputs", "weights"] as const;
export const NOISE_SITES = [...ROUNDING_SITES, "residual"] as const;

/** Hooks for `BatchOptions`: of the embedding, and of modules. */
export type QuantizationHooks = Readonly<{ hook?: TensorHook; hooks?: Hooks }>;

/**
 * @throws UserError when a field has no such value, or does not apply.
 */
export function checkQuantizationAwareTraining(qat: QuantizationAwareTraining): void {
  const { method, at, modules } = qat;
  if (method !== "noise" && method !== "fake-quantization") {
    throw new UserError(`qat.method: expected noise or fake-quantization, found ${method}`);
  }
  const sites: readonly string[] = method === "noise" ? NOISE_SITES : ROUNDING_SITES;
  if (!sites.includes(at)) {
    throw new UserError(`qat.at: expected one of ${sites.join(", ")} with ${method}, found ${at}`);
  }
  if (modules !== undefined && at !== "outputs" && at !== "weights") {
    throw new UserError(`qat.modules: expected none at ${at}, found ${modules}; leave them out`);
  }
  const isList = Array.isArray(modules) && modules.length > 0;
  if (modules !== undefined && modules !== "all" && !isList) {
    throw new UserError(
      `qat.modules: expected all or a list of names, found ${JSON.stringify(modules)}`,
    );
  }
  if (method === "fake-quantization") return checkQuantization(qat.quantization);
  if (qat.relative && qat.standardized) {
    throw new UserError("qat: expected relative or standardized noise, found both; leave one out");
  }
  if (qat.width > 0 && Number.isFinite(qat.width)) return;
  throw new UserError(`qat.width: expected a positive number, found ${qat.width}`);
}

/** Whether every step needs random numbers of its own. */
export function needsNoise(qat: QuantizationAwareTraining | undefined): qat is NoiseInjection {
  return qat?.method === "noise";
}

/**
 * What one forward pass in training does; every pass needs hooks of its own.
 *
 * @param seed int32 `[2]`, one of its own for each step; of noise alone. Module i of the M that are
 *   picked has `[seed₀ + i + M·u, seed₁]` when it is used for the u-th time from 0: LSTMs use their
 *   hidden layer at every position.
 * @throws UserError for the name of a module that the model has not.
 */
export function quantizationHooks(
  qat: QuantizationAwareTraining,
  params: Tree,
  seed: Tensor | undefined,
): QuantizationHooks {
  const { at, modules = "all" } = qat;
  const hookOf = (index: number, count: number): TensorHook => {
    if (qat.method !== "noise") return fakeQuantize(qat.quantization);
    let next = index;
    return (x) => {
      const shift = tensor([next, 0], [2], "int32");
      next += count;
      return addNoise(x, qat, add(seed!, shift));
    };
  };
  switch (at) {
    case "embedding":
      return { hook: hookOf(0, 1) };
    case "residual": {
      const { width, ...noise } = qat;
      const input: TensorHook = (x) => addNoise(x, { ...noise, width: width / 2 }, seed!);
      return { hooks: { down: { input } } };
    }
    default: {
      const site: keyof ModuleHooks = at === "outputs" ? "output" : "weight";
      const names = pickModules(params, modules);
      const entries = names.map((name, index) => [name, { [site]: hookOf(index, names.length) }]);
      return { hooks: Object.fromEntries(entries) };
    }
  }
}

/**
 * x plus noise of its own for every number, a pure function of the seed, int32 `[2]`. The gradient
 * takes a standard deviation as given: making x larger earns nothing.
 */
export function addNoise(
  x: Tensor,
  { width, oneSided = false, relative = false, standardized = false }: Pick<
    NoiseInjection,
    "width" | "oneSided" | "relative" | "standardized"
  >,
  seed: Tensor,
): Tensor {
  const low = oneSided ? 0 : -width / 2;
  const noise = randomUniform(x.shape, seed, low, low + width);
  if (!standardized) return add(x, relative ? mul(x, noise) : noise);
  return straightThrough(x, (x) => {
    const deviation = sqrt(mean(square(sub(x, mean(x)))));
    return add(x, mul(deviation, noise));
  });
}
