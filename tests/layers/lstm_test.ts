import assert from "node:assert/strict";
import { namedLeaves, type Tensor, tensor } from "../../lib/engine/mod.ts";
import { initLstm, type Lstm, lstm } from "../../lib/layers/mod.ts";
import { createRandom } from "../../lib/random.ts";
import { onEveryBackend } from "../_backends.ts";
import { assertClose, normals, read } from "../_numbers.ts";

const [T, B, D] = [4, 2, 3];

/** The hidden states of one sequence `x[t][i]`, in float64, gates i, f, g, o (PyTorch's formulas). */
function loops(
  { inputWeight, inputBias, hiddenWeight, hiddenBias }: Record<string, Float32Array>,
  x: readonly Float32Array[],
): number[][] {
  const sigmoid = (value: number) => 1 / (1 + Math.exp(-value));
  let hidden = new Array<number>(D).fill(0);
  let cell = new Array<number>(D).fill(0);
  return x.map((xt) => {
    const gate = (index: number, j: number) => {
      const column = index * D + j;
      let total = inputBias![column]! + hiddenBias![column]!;
      for (let i = 0; i < D; i++) {
        total += xt[i]! * inputWeight![i * 4 * D + column]!;
        total += hidden[i]! * hiddenWeight![i * 4 * D + column]!;
      }
      return total;
    };
    cell = cell.map((kept, j) =>
      sigmoid(gate(1, j)) * kept + sigmoid(gate(0, j)) * Math.tanh(gate(2, j))
    );
    hidden = cell.map((one, j) => sigmoid(gate(3, j)) * Math.tanh(one));
    return hidden;
  });
}

onEveryBackend("lstm() is PyTorch's recurrence", async (mode) => {
  const weights = {
    inputWeight: normals(D * 4 * D, 1),
    inputBias: normals(4 * D, 2),
    hiddenWeight: normals(D * 4 * D, 3),
    hiddenBias: normals(4 * D, 4),
  };
  const layer: Lstm = {
    input: { weight: tensor(weights.inputWeight, [D, 4 * D]), bias: tensor(weights.inputBias) },
    hidden: { weight: tensor(weights.hiddenWeight, [D, 4 * D]), bias: tensor(weights.hiddenBias) },
  };
  const x = normals(T * B * D, 5);
  const states = mode.compile((layer: Lstm, xTBD: Tensor) => lstm(layer, xTBD))(
    layer,
    tensor(x, [T, B, D]),
  );
  assert.deepEqual(states.shape, [T, B, D]);
  const bySample = Array.from({ length: B }, (_, b) =>
    loops(
      weights,
      Array.from({ length: T }, (_, t) => x.subarray((t * B + b) * D, (t * B + b + 1) * D)),
    ));
  const expected = Array.from({ length: T }, (_, t) => bySample.map((sample) => sample[t]!)).flat(
    2,
  );
  assertClose(await read(states), expected, 1e-6, "hidden states");
});

onEveryBackend("initLstm() draws everything U(±1/√D), each on its own", async () => {
  const leaves = namedLeaves(initLstm(createRandom(1), 16));
  assert.deepEqual(
    leaves.map(({ name, tensor }) => `${name} ${tensor.shape}`),
    ["input.weight 16,64", "input.bias 64", "hidden.weight 16,64", "hidden.bias 64"],
  );
  const drawn = await Promise.all(leaves.map(({ tensor }) => read(tensor)));
  for (const values of drawn) {
    const largest = Math.max(...values.map(Math.abs));
    assert.ok(largest <= 0.25 && largest > 0.23, `${largest}`);
  }
  assert.equal(new Set(drawn.map((values) => values[0])).size, 4);
}, { only: ["cpu"] });
