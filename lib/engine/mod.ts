/** Tensors, compilation and parameter trees: the one place that knows TensorFlow.js. */

export {
  BACKEND_VARIABLE,
  type BackendName,
  BACKENDS,
  describeEngine,
  type EngineStatus,
  engineStatus,
  initEngine,
  MATMUL_PRECISIONS,
  type MatmulPrecision,
  runningBackend,
  runningMatmulPrecision,
  runningThreads,
  runsOnGpu,
} from "./backend.ts";
export { EngineError } from "./_binding.ts";
export { hasAvx512 } from "./_processor.ts";
export {
  type Cluster,
  CLUSTER_VARIABLE,
  clusterFromEnvironment,
  formatTfConfig,
  parseTfConfig,
} from "./cluster.ts";
export {
  type JoinOptions,
  joinWorkers,
  lostWithinSeconds,
  Workers,
  WorkersError,
} from "./collectives.ts";
export { fingerprint } from "./fingerprint.ts";
export { type Compiler, jit, type JitOptions, type Jitted } from "./jit.ts";
export {
  type Head,
  linearCrossEntropy,
  weightedLinearCrossEntropy,
} from "./linear_cross_entropy.ts";
export { randomUniform } from "./noise.ts";
export * from "./ops.ts";
export { roundMantissa } from "./rounding.ts";
export * from "./tensor.ts";
export {
  countElements,
  disposeTree,
  leavesOf,
  mapTree,
  namedLeaves,
  type Tree,
  valueAndGradient,
  withLeaves,
} from "./tree.ts";
