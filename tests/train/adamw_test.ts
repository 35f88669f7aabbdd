import assert from "node:assert/strict";
import { type Tensor, tensor } from "../../lib/engine/mod.ts";
import {
  adamw,
  ADAMW_DEFAULTS,
  type AdamWConfig,
  initTrainState,
  stepScalars,
  type TrainState,
} from "../../lib/train/adamw.ts";
import { onEveryBackend } from "../_backends.ts";
import { assertRelative, normals, read } from "../_numbers.ts";

type Params = { a: Tensor; list: Tensor[] };

const paramsOf = (values: ArrayLike<number>): Params => ({
  a: tensor(Array.from(values).slice(0, 4), [2, 2]),
  list: [tensor(Array.from(values).slice(4))],
});

const valuesOf = async (params: Params) => [
  ...await read(params.a),
  ...await read(params.list[0]!),
];

/** torch.optim.AdamW after clip_grad_norm_, in float64. */
function loops(
  start: readonly number[],
  gradients: readonly (readonly number[])[],
  rate: number,
  { beta1, beta2, epsilon, weightDecay, clipNorm }: AdamWConfig,
): { params: number[]; norms: number[] } {
  const params = [...start];
  const first = start.map(() => 0), second = start.map(() => 0);
  const norms = gradients.map((gradient, step) => {
    const norm = Math.hypot(...gradient);
    const scale = Math.min(1, clipNorm / (norm + 1e-6));
    const t = step + 1;
    params.forEach((_, i) => {
      const g = gradient[i]! * scale;
      params[i]! *= 1 - rate * weightDecay;
      first[i] = beta1 * first[i]! + (1 - beta1) * g;
      second[i] = beta2 * second[i]! + (1 - beta2) * g * g;
      const denominator = Math.sqrt(second[i]!) / Math.sqrt(1 - beta2 ** t) + epsilon;
      params[i]! -= rate / (1 - beta1 ** t) * first[i]! / denominator;
    });
    return norm;
  });
  return { params, norms };
}

const start = [...normals(7, 1)];
const large = [2, 3, 4, 5].map((seed) => [...normals(7, seed, 3)]);
const small = large.map((gradient) => gradient.map((one) => one / 100));

const cases: Record<string, { config: AdamWConfig; gradients: number[][] }> = {
  "gradients that are clipped": { config: ADAMW_DEFAULTS, gradients: large },
  "gradients below the clip norm": { config: ADAMW_DEFAULTS, gradients: small },
  "a clip norm of its own": { config: { ...ADAMW_DEFAULTS, clipNorm: 0.01 }, gradients: small },
  "weight decay": { config: { ...ADAMW_DEFAULTS, weightDecay: 0.3 }, gradients: large },
  "other betas and a large ε": {
    config: { ...ADAMW_DEFAULTS, beta1: 0.5, beta2: 0.8, epsilon: 0.1 },
    gradients: large,
  },
};

for (const [name, { config, gradients }] of Object.entries(cases)) {
  onEveryBackend(`adamw() follows PyTorch's formulas with ${name}`, async (mode) => {
    const rate = 0.05;
    const step = mode.compile((state: TrainState<Params>, gradient: Params, scalars: Tensor) =>
      adamw(state, gradient, scalars, config)
    );
    let state = initTrainState(paramsOf(start));
    const norms: number[] = [];
    for (const [index, gradient] of gradients.entries()) {
      const result = step(state, paramsOf(gradient), stepScalars(rate, index, config));
      state = result.state;
      norms.push(...await read(result.gradientNorm));
    }
    const expected = loops(start, gradients, rate, config);
    // The movement, not the value: relative to the value an error would look small.
    const movement = (params: readonly number[]) => params.map((value, i) => value - start[i]!);
    assertRelative(
      movement(await valuesOf(state.params)),
      movement(expected.params),
      1e-5,
      "movement",
    );
    assertRelative(norms, expected.norms, 1e-6, "gradient norms before clipping");
    step.dispose();
  });
}

onEveryBackend("adamw() does not move for a zero gradient", async () => {
  const state = initTrainState(paramsOf(start));
  const zero = paramsOf(new Array(7).fill(0));
  const { state: after, gradientNorm } = adamw(state, zero, stepScalars(0.1, 0));
  assert.deepEqual(await valuesOf(after.params), await valuesOf(state.params));
  assert.deepEqual([...await read(gradientNorm)], [0]);
}, { oncePerBackend: true });

Deno.test("ADAMW_DEFAULTS are the paper's", () => {
  assert.deepEqual(ADAMW_DEFAULTS, {
    beta1: 0.9,
    beta2: 0.999,
    epsilon: 1e-8,
    weightDecay: 0,
    clipNorm: 1,
  });
});
