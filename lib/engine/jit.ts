/** Compiling a function of tensors into one operation, where the backend can. */

import * as tf from "@tensorflow/tfjs";
import { EngineError, type TracedFunction } from "./_binding.ts";
import { activeTensorFlow, dataTypeOf, type TensorFlowBackend } from "./_tensorflow.ts";
import { mapTree, namedLeaves, type Tree, withLeaves } from "./tree.ts";

export type Compiler = "xla" | "graph";

export type JitOptions = Readonly<{
  /** `xla` fuses operations and takes seconds to compile; `graph` runs TensorFlow's own kernels. */
  compiler?: Compiler;
  /** How many different input shapes may be compiled before a new one is an error. */
  maxShapes?: number;
}>;

/** A compiled function; `dispose` frees what the compiler holds. */
export type Jitted<A extends readonly Tree[], R extends Tree> = ((...inputs: A) => R) & {
  dispose(): void;
};

type Compiled<R> = { fn: TracedFunction; compile: boolean; form: R };

/**
 * Compiles `fn` at its first call for the shapes it is called with. `fn` is run once on
 * placeholders, so that whatever it does with tensors, gradients included, becomes one TensorFlow
 * function; tensors that it closes over keep their values of that moment. On the
 * other backends `fn` runs as it is, in a tidy scope: the same results within rounding.
 *
 * Results belong to the caller, who disposes them; inputs stay untouched.
 *
 * @param name Stands in error messages.
 * @throws EngineError when `fn` reads tensor values, when a result's shape depends on values, when
 *   the compiler rejects an operation, when it is called while another function is traced, and when
 *   shapes change more often than `maxShapes` allows.
 */
export function jit<A extends readonly Tree[], R extends Tree>(
  name: string,
  fn: (...inputs: A) => R,
  { compiler = "xla", maxShapes = 1 }: JitOptions = {},
): Jitted<A, R> {
  const compiled = new Map<string, Compiled<R>>();
  const call = (...inputs: A): R => {
    const backend = activeTensorFlow();
    const leaves = namedLeaves(inputs);
    if (backend === null) return runPlain(fn, inputs);
    backend.binding.refuseNesting(name);
    const signature = leaves.map(({ name, tensor }) => `${name} ${tensor.dtype}[${tensor.shape}]`);
    const key = signature.join("; ");
    let entry = compiled.get(key);
    if (entry === undefined) {
      if (compiled.size >= maxShapes) throw shapeError(name, [...compiled.keys()].at(-1)!, key);
      entry = trace(backend, name, fn, inputs, compiler === "xla");
      compiled.set(key, entry);
    }
    const ids = backend.getInputTensorIds(leaves.map((leaf) => leaf.tensor));
    try {
      const outputs = backend.binding.callFunction(entry.fn, ids, entry.compile);
      return withLeaves(entry.form, outputs.map((output) => backend.createOutputTensor(output)));
    } catch (error) {
      const detail = (error as Error).message.split("\n", 1)[0];
      const remedy = entry.compile ? `; if XLA lacks an operation, use { compiler: "graph" }` : "";
      throw new EngineError(`jit "${name}": ${detail}${remedy}`);
    }
  };
  const dispose = () => {
    const binding = activeTensorFlow()?.binding;
    for (const { fn } of compiled.values()) binding?.deleteFunction(fn);
    compiled.clear();
  };
  return Object.assign(call, { dispose });
}

/** Runs `fn` uncompiled. Results are clones: inputs and captured tensors may be among them. */
function runPlain<A extends readonly Tree[], R extends Tree>(
  fn: (...inputs: A) => R,
  inputs: A,
): R {
  const owned = () => mapTree(fn(...inputs), (leaf) => leaf.clone());
  return tf.tidy(owned as () => tf.TensorContainer) as unknown as R;
}

function trace<A extends readonly Tree[], R extends Tree>(
  backend: TensorFlowBackend,
  name: string,
  fn: (...inputs: A) => R,
  inputs: A,
  compile: boolean,
): Compiled<R> {
  const { binding } = backend;
  const tensors = namedLeaves(inputs).map((leaf) => leaf.tensor);
  const descriptions = tensors.map((tensor) => ({
    dtype: dataTypeOf(tensor),
    shape: tensor.shape,
  }));
  const { placeholders } = binding.startTrace(name, descriptions);
  tf.engine().startScope(`jit ${name}`);
  try {
    const traced = withLeaves(
      inputs,
      placeholders.map((placeholder) => backend.createOutputTensor(placeholder)),
    );
    const result = fn(...traced);
    const outputs = namedLeaves(result).map((leaf) => leaf.tensor);
    const outputIds = backend.getInputTensorIds(outputs);
    const traceFunction = binding.finishTrace(placeholders.map(({ id }) => id), outputIds);
    return { fn: traceFunction, compile, form: result };
  } finally {
    tf.engine().endScope();
    binding.endTrace();
  }
}

function shapeError(name: string, known: string, found: string): EngineError {
  const [knownParts, foundParts] = [known.split("; "), found.split("; ")];
  const longer = knownParts.length > foundParts.length ? knownParts : foundParts;
  const difference = longer.findIndex((_, index) => knownParts[index] !== foundParts[index]);
  const expected = knownParts[difference] || "nothing";
  const actual = foundParts[difference] || "nothing";
  return new EngineError(
    `jit "${name}" was compiled for input ${expected} and is called with ${actual}; ` +
      `keep shapes equal (fill the last batch), or allow more with { maxShapes }`,
  );
}
