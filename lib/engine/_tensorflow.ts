/**
 * The `tensorflow` backend of TensorFlow.js: tfjs-node's kernels (`@tensorflow/tfjs-node-gpu`) on
 * the binding of `_binding.ts` in place of their own C++ addon.
 */

import { createRequire } from "node:module";
import util from "node:util";
import * as tf from "@tensorflow/tfjs";
import {
  EngineError,
  type OpAttribute,
  TensorFlowBinding,
  type TensorMetadata,
} from "./_binding.ts";
import { DATA_TYPE } from "./_c_api.ts";
import { withQuietStandardError } from "./_quiet.ts";

export const TENSORFLOW = "tensorflow";

/** What the engine uses of tfjs-node's `NodeJSKernelBackend`, its private parts included. */
export interface TensorFlowBackend extends tf.KernelBackend {
  readonly binding: TensorFlowBinding;
  executeSingleOutput(
    name: string,
    attributes: readonly OpAttribute[],
    inputs: readonly tf.TensorInfo[],
  ): tf.Tensor;
  executeMultipleOutputs(
    name: string,
    attributes: readonly OpAttribute[],
    inputs: readonly tf.TensorInfo[],
    outputCount: number,
  ): tf.Tensor[];
  createOutputTensor(metadata: TensorMetadata): tf.Tensor;
  getInputTensorIds(tensors: readonly tf.TensorInfo[]): number[];
}

type StoredTensor = { values: unknown; id: number; shape: number[]; dtype: number };

type NodeBackendClass = new (binding: TensorFlowBinding, packageName: string) =>
  & TensorFlowBackend
  & {
    tensorMap: tf.DataStorage<StoredTensor>;
    move(dataId: object, values: unknown, shape: number[], dtype: string, refCount: number): void;
  };

let backend: TensorFlowBackend | null = null;

/** The `tensorflow` backend if it is the active one, else null. */
export function activeTensorFlow(): TensorFlowBackend | null {
  return tf.getBackend() === TENSORFLOW ? backend : null;
}

/**
 * Loads the library at `libraryPath` and registers the backend and its kernels with TensorFlow.js;
 * what has been registered stays.
 *
 * @param options.threads That share an operation.
 * @param options.clusterConfig See {@linkcode TensorFlowBinding}.
 * @param options.matmulPrecision Of oneDNN's products: of graphs and single operations, not XLA's.
 * @throws What the dynamic loader or TensorFlow says, when the library cannot be used.
 */
export function registerTensorFlow(
  libraryPath: string,
  { threads, clusterConfig, matmulPrecision }: Readonly<{
    threads: number;
    clusterConfig?: Uint8Array | undefined;
    matmulPrecision: "float32" | "bfloat16";
  }>,
): TensorFlowBackend {
  if (backend !== null) return backend;
  // Level 3 leaves fatal messages: whatever fails is reported through a status anyway.
  Deno.env.set("TF_CPP_MIN_LOG_LEVEL", Deno.env.get("TF_CPP_MIN_LOG_LEVEL") ?? "3");
  // oneDNN's products and softmax are faster than Eigen's; TensorFlow itself takes them only where the
  // processor has AVX-512.
  Deno.env.set("TF_ENABLE_ONEDNN_OPTS", Deno.env.get("TF_ENABLE_ONEDNN_OPTS") ?? "1");
  // Set in any case, so that no environment makes float32 something else.
  Deno.env.set("ONEDNN_DEFAULT_FPMATH_MODE", matmulPrecision === "bfloat16" ? "BF16" : "STRICT");
  Deno.env.delete("TF_SET_ONEDNN_FPMATH_MODE");
  const binding = withQuietStandardError(() =>
    new TensorFlowBinding(libraryPath, threads, clusterConfig)
  );

  // tfjs-node 4.22 still calls two functions that node:util no longer has.
  const legacy = util as unknown as Record<string, unknown>;
  legacy.isNullOrUndefined ??= (value: unknown) => value === null || value === undefined;
  legacy.isArray ??= Array.isArray;

  const require = createRequire(import.meta.url);
  const { NodeJSKernelBackend } = require(
    "@tensorflow/tfjs-node-gpu/dist/nodejs_kernel_backend.js",
  ) as { NodeJSKernelBackend: NodeBackendClass };

  class UploadingBackend extends NodeJSKernelBackend {
    /** Tensors of other backends are moved here, as in tfjs-node; tensors of none have an error. */
    override readonly tensorMap = new tf.DataStorage<StoredTensor>(this, {
      moveData: (target, dataId) => {
        if (!tf.engine().state.tensorInfo.has(dataId)) {
          throw new EngineError(binding.disposedTensor());
        }
        tf.engine().moveData(target, dataId);
      },
    });

    /** Uploads values when they are written: tfjs-node waits, and would upload into a trace. */
    override move(
      dataId: object,
      values: unknown,
      shape: number[],
      dtype: string,
      refCount: number,
    ): void {
      super.move(dataId, values, shape, dtype, refCount);
      if (dtype === "string" || dtype === "complex64") return;
      const stored = this.tensorMap.get(dataId);
      stored.id = binding.createTensor(shape, stored.dtype, values as ArrayLike<number>);
      stored.values = null;
    }
  }

  const created = new UploadingBackend(binding, "@tensorflow/tfjs-node-gpu");
  tf.registerBackend(TENSORFLOW, () => created);
  require("@tensorflow/tfjs-node-gpu/dist/register_all_kernels.js");
  for (const kernel of [...tf.getKernelsForBackend(TENSORFLOW)]) {
    tf.unregisterKernel(kernel.kernelName, TENSORFLOW);
    tf.registerKernel(withName(kernel, binding));
  }
  backend = created;
  return created;
}

/** The same kernel, which tells the binding its name while it runs, for error messages. */
function withName(kernel: tf.KernelConfig, binding: TensorFlowBinding): tf.KernelConfig {
  return {
    ...kernel,
    kernelFunc: (parameters) => {
      const outer = binding.currentKernel;
      binding.currentKernel = kernel.kernelName;
      try {
        return kernel.kernelFunc(parameters);
      } finally {
        binding.currentKernel = outer;
      }
    },
  };
}

/** The attribute that names an operation's element type, e.g. `T` or `Tindices`. */
export function typeAttribute(name: string, dtype: keyof typeof DATA_TYPE): OpAttribute {
  return { name, type: 4, value: DATA_TYPE[dtype] };
}

/** TensorFlow's code for a tensor's data type. */
export function dataTypeOf(tensor: tf.TensorInfo): number {
  if (tensor.dtype === "float32" || tensor.dtype === "int32" || tensor.dtype === "bool") {
    return DATA_TYPE[tensor.dtype];
  }
  throw new TypeError(`expected a float32, int32 or bool tensor, found ${tensor.dtype}`);
}
