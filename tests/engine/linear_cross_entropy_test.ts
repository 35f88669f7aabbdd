/** The head's loss in blocks of rows, against float64 loops, wherever blocks end. */

import {
  linearCrossEntropy,
  mul,
  sum,
  type Tensor,
  tensor,
  valueAndGradient,
  weightedLinearCrossEntropy,
} from "../../lib/engine/mod.ts";
import { onEveryBackend } from "../_backends.ts";
import { assertClose, normals, read } from "../_numbers.ts";

const [ROWS, WIDTH, VOCABULARY] = [7, 3, 5] as const;
const X = normals(ROWS * WIDTH, 1);
const WEIGHT = normals(WIDTH * VOCABULARY, 2);
const BIAS = normals(VOCABULARY, 3);
const LABELS = [4, 0, 2, 2, 1, 4, 3];
/** Some rows, as those of pads, count nothing. */
const ROW_WEIGHTS = [0.5, 0, 2, 1, 0, 0.25, 1];

/** Losses, and the gradients of Σ weight · loss for x, weight and bias, in float64. */
function expectedValues(hasBias: boolean) {
  const losses: number[] = [];
  const [dx, dWeight, dBias] = [X, WEIGHT, BIAS].map((values) => new Float64Array(values.length));
  for (let r = 0; r < ROWS; r++) {
    const logits = Array.from({ length: VOCABULARY }, (_, v) => {
      let logit = hasBias ? BIAS[v]! : 0;
      for (let d = 0; d < WIDTH; d++) logit += X[r * WIDTH + d]! * WEIGHT[d * VOCABULARY + v]!;
      return logit;
    });
    const total = logits.reduce((all, logit) => all + Math.exp(logit), 0);
    losses.push(Math.log(total) - logits[LABELS[r]!]!);
    logits.forEach((logit, v) => {
      const slope = ROW_WEIGHTS[r]! * (Math.exp(logit) / total - (v === LABELS[r] ? 1 : 0));
      dBias![v]! += slope;
      for (let d = 0; d < WIDTH; d++) {
        dx![r * WIDTH + d]! += slope * WEIGHT[d * VOCABULARY + v]!;
        dWeight![d * VOCABULARY + v]! += slope * X[r * WIDTH + d]!;
      }
    });
  }
  const weighted = losses.reduce((all, loss, r) => all + ROW_WEIGHTS[r]! * loss, 0);
  return { losses, weighted, gradients: { x: dx!, weight: dWeight!, bias: dBias! } };
}

/** A row at a time, two, three with one left over, all. */
const ROWS_OF_BLOCKS = [1, 2, 3, ROWS];

for (const hasBias of [false, true]) {
  onEveryBackend(
    `a head's loss in blocks is the loss of its logits, ${hasBias ? "with" : "without"} a bias`,
    async (mode) => {
      const expected = expectedValues(hasBias);
      const labels = tensor(LABELS, [ROWS], "int32");
      const weights = tensor(ROW_WEIGHTS);
      const params = {
        x: tensor(X, [ROWS, WIDTH]),
        weight: tensor(WEIGHT, [WIDTH, VOCABULARY]),
        ...(hasBias && { bias: tensor(BIAS) }),
      };
      type Params = typeof params;
      for (const rows of ROWS_OF_BLOCKS) {
        const block = rows * VOCABULARY;
        const forms: Record<string, (params: Params) => Tensor> = {
          "of rows": ({ x, ...head }) =>
            sum(mul(linearCrossEntropy(x, head, labels, block), weights)),
          "weighted": ({ x, ...head }) =>
            weightedLinearCrossEntropy(x, head, labels, weights, block),
        };
        const { x, ...head } = params;
        const each = await read(linearCrossEntropy(x, head, labels, block));
        assertClose(each, expected.losses, 1e-6, `losses, ${rows} rows a block`);
        for (const [form, lossOf] of Object.entries(forms)) {
          const run = mode.compile((params: Params) => valueAndGradient(lossOf, params));
          const { value, gradient } = run(params);
          const what = `${form}, ${rows} rows a block`;
          assertClose(await read(value), [expected.weighted], 1e-6, what);
          for (const [name, values] of Object.entries(gradient)) {
            const wanted = expected.gradients[name as keyof typeof expected.gradients];
            assertClose(await read(values as Tensor), wanted, 1e-6, `${what}: ${name}`);
          }
          run.dispose();
        }
      }
    },
  );
}
