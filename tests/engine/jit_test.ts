import assert from "node:assert/strict";
import * as tf from "@tensorflow/tfjs";
import type { TensorFlowBackend } from "../../lib/engine/_tensorflow.ts";
import {
  add,
  EngineError,
  jit,
  keep,
  matMul,
  memory,
  mul,
  square,
  sub,
  sum,
  type Tensor,
  tensor,
  valueAndGradient,
} from "../../lib/engine/mod.ts";
import { onEveryBackend, onTensorFlow } from "../_backends.ts";
import { assertClose, read } from "../_numbers.ts";

const X = [1, 2, 3, 4];
const matrix = () => tensor(X, [2, 2]);

/** How many tensors TensorFlow itself holds; 0 on other backends. */
function nativeTensorCount(): number {
  return tf.getBackend() === "tensorflow"
    ? (tf.backend() as TensorFlowBackend).binding.getNumOfTensors()
    : 0;
}

/** The message of the EngineError that `action` throws. */
function engineError(action: () => unknown): string {
  try {
    action();
  } catch (error) {
    assert.ok(error instanceof EngineError, `expected an EngineError, found ${error}`);
    assert.doesNotMatch(error.message, /\n/);
    return error.message;
  }
  assert.fail("expected an EngineError, found none");
}

onEveryBackend("jit() returns results in the form that the function returns", async (mode) => {
  const run = mode.compile(({ x, pair }: { x: Tensor; pair: Tensor[] }) => ({
    sums: [add(x, pair[0]!), add(x, pair[1]!)],
    nested: { square: square(x) },
  }));
  const result = run({ x: tensor([1, 2]), pair: [tensor([10, 20]), tensor([100, 200])] });
  assert.deepEqual([...await read(result.sums[0]!)], [11, 22]);
  assert.deepEqual([...await read(result.sums[1]!)], [101, 202]);
  assert.deepEqual([...await read(result.nested.square)], [1, 4]);
  run.dispose();
});

onEveryBackend("jit() traces gradients of a tree", async (mode) => {
  const run = mode.compile((params: { a: Tensor; b: Tensor }, x: Tensor) =>
    valueAndGradient(({ a, b }) => sum(mul(square(a), add(b, x))), params)
  );
  const { value, gradient } = run({ a: tensor([1, 2]), b: tensor([3, 4]) }, tensor([10, 20]));
  assertClose(await read(value), [13 + 4 * 24], 1e-6, "value");
  assertClose(await read(gradient.a), [26, 96], 1e-6, "gradient of a");
  assertClose(await read(gradient.b), [1, 4], 1e-6, "gradient of b");
  run.dispose();
});

onEveryBackend("jit() results outlive inputs, captures and each other", async () => {
  const captured = tensor([7, 8]);
  const run = jit("aliases", (x: Tensor) => {
    const y = square(x);
    return { input: x, captured, once: y, twice: y };
  }, { compiler: "graph" });
  const x = tensor([1, 2]);
  const result = run(x);
  assert.notEqual(result.input, x);
  result.once.dispose();
  x.dispose();
  assert.deepEqual([...await read(result.twice)], [1, 4]);
  assert.deepEqual([...await read(result.input)], [1, 2]);
  result.captured.dispose();
  assert.deepEqual([...await read(captured)], [7, 8]);
  assert.deepEqual([...await read(run(tensor([3, 4])).captured)], [7, 8]);
  run.dispose();
}, { oncePerBackend: true });

for (const compiler of ["graph", "xla"] as const) {
  onTensorFlow(`jit(${compiler}) keeps the values of captured tensors`, async () => {
    const captured = tensor([10, 20]);
    const run = jit("captures", (x: Tensor) => add(mul(x, captured), captured), { compiler });
    assert.deepEqual([...await read(run(tensor([1, 2])))], [20, 60]);
    captured.dispose();
    // Memory of the disposed tensor that were reused would show here.
    for (let i = 0; i < 10; i++) tensor([-1, -1]);
    assert.deepEqual([...await read(run(tensor([1, 2])))], [20, 60]);
    run.dispose();
  });
}

onEveryBackend("jit() leaves the number of tensors flat over 50 steps", (mode) => {
  const offset = tensor([0.5]);
  const step = mode.compile((state: { w: Tensor; passed: Tensor }, x: Tensor) => {
    const loss = (w: Tensor) => sum(square(sub(matMul(x, w), offset)));
    const { value, gradient } = valueAndGradient(loss, state.w);
    const w = sub(state.w, mul(gradient, 0.01));
    return { state: { w, passed: state.passed }, value };
  });
  const x = matrix();
  let state = { w: tensor([1, 1], [2, 1]), passed: tensor([3]) };
  const counts = new Set<string>();
  for (let i = 0; i < 50; i++) {
    const next = step(state, x);
    state.w.dispose();
    if (next.state.passed !== state.passed) state.passed.dispose();
    next.value.dispose();
    state = next.state;
    if (i > 0) counts.add(`${memory().numTensors} ${nativeTensorCount()}`);
  }
  assert.equal(counts.size, 1, `tensor counts: ${[...counts].join(", ")}`);
  step.dispose();
});

onTensorFlow("jit() leaves no tensor of a trace behind, not after an error either", () => {
  const x = matrix();
  const failing = jit("failing", (x: Tensor) => {
    square(x);
    throw new RangeError("from the function");
  });
  const before = [memory().numTensors, nativeTensorCount()];
  assert.throws(() => failing(x), /^RangeError: from the function$/);
  assert.deepEqual([memory().numTensors, nativeTensorCount()], before);
  const captured = matrix();
  const run = jit("working", (x: Tensor) => square(add(x, captured)), { compiler: "graph" });
  run(x).dispose();
  captured.dispose();
  assert.deepEqual([memory().numTensors, nativeTensorCount()], before);
  run.dispose();
});

onTensorFlow("jit() names the function when a value is read in it", () => {
  const run = jit("reader", (x: Tensor) => tensor(x.dataSync()));
  const message = engineError(() => run(matrix()));
  assert.match(message, /^jit "reader": a tensor's values are read/);
  assert.match(message, /use an engine operation instead, or call the function without jit$/);
});

onTensorFlow("jit() names the operation that reads values on the JavaScript side", () => {
  const run = jit("gatherer", (x: Tensor) => tf.gather(x, tensor([0], [1], "int32")));
  const message = engineError(() => run(matrix()));
  assert.match(message, /^jit "gatherer": the operation GatherV2 reads tensor values/);
  assert.match(message, /use an engine operation instead/);
});

onTensorFlow("jit() names the operation whose shape depends on values", () => {
  const run = jit("shapeless", (x: Tensor) => tf.unique(tf.reshape(x, [-1]) as Tensor).values);
  const message = engineError(() => run(matrix()));
  assert.match(message, /^jit "shapeless": the operation Unique has a result whose shape depends/);
  assert.match(message, /use a fixed-shape operation$/);
});

onTensorFlow("jit() names the operation that the graph rejects", () => {
  const run = jit("misfit", (x: Tensor) => matMul(x, tensor([1, 2, 3], [3, 1])));
  assert.match(
    engineError(() => run(matrix())),
    /^jit "misfit": tracing the operation BatchMatMulV2: .*\[2,2\].*\[3,1\]/,
  );
});

onTensorFlow("jit() offers the graph compiler for what XLA lacks", async () => {
  const dilate = (x: Tensor) => {
    const [image, filter] = [tf.reshape(x, [1, 2, 2, 1]), tf.ones([1, 1, 1])];
    return tf.dilation2d(image as tf.Tensor4D, filter as tf.Tensor3D, 1, "same");
  };
  const message = engineError(() => jit("dilate", dilate, { compiler: "xla" })(matrix()));
  assert.match(message, /^jit "dilate": .*Dilation2D/);
  assert.match(message, /if XLA lacks an operation, use \{ compiler: "graph" \}$/);
  const result = jit("dilate", dilate, { compiler: "graph" })(matrix());
  assert.deepEqual([...await read(result)], [2, 3, 4, 5]);
});

onTensorFlow("jit() refuses another input shape, naming the input and both shapes", () => {
  const run = jit("shaped", (tree: { ids: Tensor }, _x: Tensor) => square(tree.ids));
  run({ ids: matrix() }, matrix());
  const message = engineError(() => run({ ids: tensor([1, 2]) }, matrix()));
  assert.match(
    message,
    /^jit "shaped" was compiled for input 0\.ids float32\[2,2\] and is called with 0\.ids float32\[2\]/,
  );
  assert.match(message, /fill the last batch.*maxShapes/);
  assert.match(
    engineError(() => run({ ids: tensor(X, [2, 2], "int32") }, matrix())),
    /called with 0\.ids int32\[2,2\]/,
  );
});

onTensorFlow("jit() names the input that is new or gone", () => {
  const run = jit("listed", (tree: Tensor[]) => square(tree[0]!), { compiler: "graph" });
  const [a, b] = [matrix(), matrix()];
  run([a, b]);
  assert.match(
    engineError(() => run([a])),
    /input 0\.1 float32\[2,2\] and is called with nothing;/,
  );
  const other = jit("listed", (tree: Tensor[]) => square(tree[0]!), { compiler: "graph" });
  other([a]);
  assert.match(
    engineError(() => other([a, b])),
    /for input nothing and is called with 0\.1 float32\[2,2\];/,
  );
});

onTensorFlow("jit() compiles as many shapes as maxShapes allows", async () => {
  const run = jit("two shapes", (x: Tensor) => square(x), { compiler: "graph", maxShapes: 2 });
  assert.deepEqual([...await read(run(tensor([2])))], [4]);
  assert.deepEqual([...await read(run(tensor([2, 3])))], [4, 9]);
  assert.deepEqual([...await read(run(tensor([4])))], [16]);
  engineError(() => run(tensor([1, 2, 3])));
});

onTensorFlow("jit() refuses a compiled function inside a trace, naming both", () => {
  const inner = jit("inner", (x: Tensor) => square(x), { compiler: "graph" });
  const expected =
    'jit "inner" was called while jit "outer" is being traced; call the plain function inside';
  assert.equal(engineError(() => jit("outer", (x: Tensor) => inner(x))(matrix())), expected);
  inner(matrix()); // the same once the inner function is compiled
  assert.equal(engineError(() => jit("outer", (x: Tensor) => inner(x))(matrix())), expected);
  const constant = matrix();
  const onConstant = jit("outer", (x: Tensor) => add(x, inner(constant)));
  assert.equal(engineError(() => onConstant(matrix())), expected);
});

onTensorFlow("jit() says what became of a tensor that leaks from a trace", () => {
  let leaked = tensor(0);
  const remedy = /disposed, or that a function made while jit traced it; keep it, or return it/;
  jit("leaking", (x: Tensor) => sum(leaked = square(x)), { compiler: "graph" })(matrix());
  assert.match(engineError(() => add(leaked, 1)), remedy);
  assert.match(engineError(() => add(leaked, 1)), /^the operation Add: /);
  assert.match(engineError(() => jit("other", (x: Tensor) => add(x, leaked))(matrix())), remedy);
  jit("leaking", (x: Tensor) => sum(leaked = keep(square(x))), { compiler: "graph" })(matrix());
  assert.match(engineError(() => add(leaked, 1)), remedy);
  assert.match(engineError(() => jit("input", (x: Tensor) => square(x))(leaked)), remedy);
  leaked.dispose();
});

onTensorFlow("jit() recompiles after dispose()", async () => {
  const run = jit("disposed", (x: Tensor) => square(x), { compiler: "graph" });
  run(tensor([1, 2]));
  run.dispose();
  assert.deepEqual([...await read(run(tensor([3])))], [9]);
});
