/**
 * What tfjs-node's kernels call in place of its C++ addon (the interface `TFJSBinding` of
 * `@tensorflow/tfjs-node-gpu`), on TensorFlow's C API.
 *
 * Outside a trace `executeOp` runs the operation at once. Inside one it adds a node to a graph, so
 * that TensorFlow.js code, its automatic differentiation included, builds one TensorFlow function
 * (`finishTrace`), which then runs as a single operation (`callFunction`).
 */

import {
  type CApi,
  cString,
  DATA_TYPE,
  ELEMENT_BYTES,
  openTensorFlow,
  openWaiting,
  type Pointer,
  readCString,
  type WaitingApi,
} from "./_c_api.ts";

/** A misuse of the engine or a failure below it; the message names the thing and the remedy. */
export class EngineError extends Error {
  override readonly name = "EngineError";
}

/** An operation's attribute, as tfjs-node's kernels write it. */
export type OpAttribute = Readonly<{
  name: string;
  type: number;
  value: boolean | number | string | readonly number[];
}>;

export type TensorMetadata = { id: number; shape: number[]; dtype: number };

export type NumericData = Float32Array | Int32Array | Uint8Array | BigInt64Array;

const ATTRIBUTE = { string: 0, int: 1, float: 2, bool: 3, type: 4, shape: 5, resource: 6 } as const;

type EagerNode = Readonly<{ handle: Pointer }>;
type GraphNode = Readonly<{ operation: Pointer; index: number; trace: Trace }>;

/** A graph under construction. Eager tensors used inside become extra inputs (`captures`). */
class Trace {
  readonly captures = new Map<number, { placeholder: number; handle: Pointer }>();
  nodeCount = 0;
  constructor(readonly name: string, readonly graph: Pointer) {}
}

/** Operations with a variadic input, and how many trailing inputs are not part of it. */
const VARIADIC: Readonly<Record<string, number>> = { AddN: 0, Pack: 0, Einsum: 0, ConcatV2: 1 };

export type Device = Readonly<{ name: string; type: string }>;

/** A `TF_Function` and the eager tensors that it closed over. */
export type TracedFunction = Readonly<{
  name: string;
  captures: readonly Pointer[];
  outputCount: number;
}>;

export class TensorFlowBinding {
  readonly TF_FLOAT = DATA_TYPE.float32;
  readonly TF_INT32 = DATA_TYPE.int32;
  readonly TF_INT64 = DATA_TYPE.int64;
  readonly TF_BOOL = DATA_TYPE.bool;
  readonly TF_COMPLEX64 = DATA_TYPE.complex64;
  readonly TF_STRING = DATA_TYPE.string;
  readonly TF_RESOURCE = DATA_TYPE.resource;
  readonly TF_UINT8 = DATA_TYPE.uint8;
  readonly TF_ATTR_STRING = ATTRIBUTE.string;
  readonly TF_ATTR_INT = ATTRIBUTE.int;
  readonly TF_ATTR_FLOAT = ATTRIBUTE.float;
  readonly TF_ATTR_BOOL = ATTRIBUTE.bool;
  readonly TF_ATTR_TYPE = ATTRIBUTE.type;
  readonly TF_ATTR_SHAPE = ATTRIBUTE.shape;
  readonly TF_ATTR_RESOURCE = ATTRIBUTE.resource;
  readonly TF_Version: string;
  readonly devices: readonly Device[];

  /** The kernel that TensorFlow.js is running, for error messages; set by the backend. */
  currentKernel: string | null = null;

  readonly #c: CApi;
  readonly #status: Pointer;
  readonly #context: Pointer;
  readonly #nodes = new Map<number, EagerNode | GraphNode>();
  #waiting: WaitingApi | null = null;
  #nextId = 1;
  #functionCount = 0;
  #trace: Trace | null = null;

  /**
   * @param threads That share an operation.
   * @param clusterConfig More of the context's ConfigProto: what a cluster needs, see
   *   _cluster_protos.ts; nothing for a process of its own.
   */
  constructor(
    readonly libraryPath: string,
    readonly threads: number,
    clusterConfig: Uint8Array = new Uint8Array(),
  ) {
    this.#c = openTensorFlow(libraryPath);
    this.#status = this.#c.TF_NewStatus()!;
    this.TF_Version = readCString(this.#c.TF_Version());
    const options = this.#c.TFE_NewContextOptions();
    const config = Uint8Array.of(...threadsConfig(threads), ...clusterConfig);
    this.#c.TFE_ContextOptionsSetConfig(options, config, BigInt(config.length), this.#status);
    this.#check("setting TensorFlow's threads");
    this.#context = this.#c.TFE_NewContext(options, this.#status)!;
    this.#check("creating TensorFlow's context");
    this.#c.TFE_DeleteContextOptions(options);
    this.devices = this.#listDevices();
  }

  /** TensorFlow's context, for what is done in it elsewhere (_coordination.ts). */
  get context(): Pointer {
    return this.#context;
  }

  get isTracing(): boolean {
    return this.#trace !== null;
  }

  isUsingGpuDevice(): boolean {
    return this.devices.some((device) => device.type === "GPU");
  }

  getNumOfTensors(): number {
    return this.#nodes.size;
  }

  createTensor(
    shape: readonly number[],
    dtype: number,
    data: ArrayLike<number | bigint | boolean>,
  ): number {
    const tensor = this.#allocate(shape, dtype, data);
    try {
      return this.#trace === null ? this.#fromTensor(tensor) : this.#constant(tensor, dtype);
    } finally {
      this.#c.TF_DeleteTensor(tensor);
    }
  }

  deleteTensor(id: number): void {
    const node = this.#nodes.get(id);
    if (node === undefined) return;
    if ("handle" in node) this.#c.TFE_DeleteTensorHandle(node.handle);
    this.#nodes.delete(id);
  }

  tensorDataSync(id: number): NumericData {
    const node = this.#node(id);
    if (!("handle" in node)) {
      const reader = this.currentKernel === null
        ? "a tensor's values are read (data, dataSync, arraySync or print)"
        : `the operation ${this.currentKernel} reads tensor values on the JavaScript side`;
      throw new EngineError(
        `jit "${node.trace.name}": ${reader} while the function is being traced, which a compiled ` +
          `function cannot do; use an engine operation instead, or call the function without jit`,
      );
    }
    const { dtype } = this.#metadata(id);
    const tensor = this.#c.TFE_TensorHandleResolve(node.handle, this.#status);
    this.#check("reading a tensor");
    const byteCount = Number(this.#c.TF_TensorByteSize(tensor));
    const buffer = byteCount === 0
      ? new ArrayBuffer(0)
      : Deno.UnsafePointerView.getArrayBuffer(this.#c.TF_TensorData(tensor)!, byteCount).slice(0);
    this.#c.TF_DeleteTensor(tensor);
    switch (dtype) {
      case DATA_TYPE.float32:
        return new Float32Array(buffer);
      case DATA_TYPE.int32:
        return new Int32Array(buffer);
      case DATA_TYPE.int64:
        return new BigInt64Array(buffer);
      case DATA_TYPE.bool:
      case DATA_TYPE.uint8:
        return new Uint8Array(buffer);
      default:
        throw new EngineError(`cannot read a tensor of TensorFlow data type ${dtype}`);
    }
  }

  executeOp(
    name: string,
    attributes: readonly OpAttribute[],
    inputs: readonly number[],
    outputCount: number,
  ): TensorMetadata[] {
    if (this.#trace !== null) return this.#addNode(name, attributes, inputs, outputCount);
    const handles = inputs.map((id) => this.#eagerHandle(id));
    return this.#execute(name, attributes, handles, outputCount);
  }

  /**
   * The same, on a thread of its own: for operations that wait for other processes. Not inside a
   * trace.
   */
  async executeWaiting(
    name: string,
    attributes: readonly OpAttribute[],
    inputs: readonly number[],
    outputCount: number,
  ): Promise<TensorMetadata[]> {
    this.#waiting ??= openWaiting(this.libraryPath);
    const op = this.#prepare(name, attributes, inputs.map((id) => this.#eagerHandle(id)));
    const status = this.#c.TF_NewStatus()!;
    try {
      const results = new BigUint64Array(outputCount);
      const resultCount = new Int32Array([outputCount]);
      await this.#waiting.TFE_Execute(op, results, resultCount, status);
      this.#check(name, status);
      return this.#adopt(results.subarray(0, resultCount[0]!));
    } finally {
      this.#c.TF_DeleteStatus(status);
      this.#c.TFE_DeleteOp(op);
    }
  }

  /** What to say when a tensor is used that no longer exists. */
  disposedTensor(): string {
    return `${
      this.currentKernel === null ? "" : `the operation ${this.currentKernel}: `
    }a tensor is used that was disposed, or that a function made while jit traced it; ` +
      `keep it, or return it from the function`;
  }

  /** @throws EngineError when the compiled function `name` is called inside a trace. */
  refuseNesting(name: string): void {
    if (this.#trace === null) return;
    throw new EngineError(
      `jit "${name}" was called while jit "${this.#trace.name}" is being traced; call the plain function inside`,
    );
  }

  /** Starts a trace and returns one placeholder per input, in order. */
  startTrace(name: string, inputs: readonly { dtype: number; shape: readonly number[] }[]): {
    trace: Trace;
    placeholders: TensorMetadata[];
  } {
    this.refuseNesting(name);
    const trace = this.#trace = new Trace(name, this.#c.TF_NewGraph()!);
    return {
      trace,
      placeholders: inputs.map(({ dtype, shape }) =>
        this.#metadata(this.#placeholder(trace, dtype, shape))
      ),
    };
  }

  /** Turns the running trace into a callable function; `endTrace` must follow in any case. */
  finishTrace(placeholders: readonly number[], outputs: readonly number[]): TracedFunction {
    const trace = this.#trace!;
    const outputIds = outputs.map((id) => this.#symbolicId(id)); // may still add captures
    const captured = [...trace.captures.values()];
    const inputs = [...placeholders, ...captured.map((capture) => capture.placeholder)];
    const name = `jit_${this.#functionCount++}_${trace.name.replaceAll(/[^A-Za-z0-9_]/g, "_")}`;
    const fn = this.#c.TF_GraphToFunction(
      trace.graph,
      cString(name),
      0,
      -1,
      null,
      inputs.length,
      this.#packOutputs(inputs),
      outputs.length,
      this.#packOutputs(outputIds),
      null,
      null,
      null,
      this.#status,
    );
    this.#check(`jit "${trace.name}"`);
    this.#c.TFE_ContextAddFunction(this.#context, fn, this.#status);
    this.#check(`jit "${trace.name}"`);
    this.#c.TF_DeleteFunction(fn);
    const captures = captured.map((capture) => capture.handle);
    trace.captures.clear(); // ownership of the handles moves to the returned function
    return { name, captures, outputCount: outputs.length };
  }

  endTrace(): void {
    const trace = this.#trace;
    if (trace === null) return;
    this.#trace = null;
    for (const { handle } of trace.captures.values()) this.#c.TFE_DeleteTensorHandle(handle);
    for (const [id, node] of this.#nodes) {
      if (!("handle" in node) && node.trace === trace) this.#nodes.delete(id);
    }
    this.#c.TF_DeleteGraph(trace.graph);
  }

  /** Runs a traced function as one operation; `compile` hands it to XLA. */
  callFunction(fn: TracedFunction, inputs: readonly number[], compile: boolean): TensorMetadata[] {
    const handles = [...inputs.map((id) => this.#eagerHandle(id)), ...fn.captures];
    const attributes: OpAttribute[] = compile
      ? [{ name: "_XlaMustCompile", type: ATTRIBUTE.bool, value: true }]
      : [];
    return this.#execute(fn.name, attributes, handles, fn.outputCount);
  }

  deleteFunction(fn: TracedFunction): void {
    for (const handle of fn.captures) this.#c.TFE_DeleteTensorHandle(handle);
    this.#c.TFE_ContextRemoveFunction(this.#context, cString(fn.name), this.#status);
    this.#check(`removing ${fn.name}`);
  }

  #check(what: string, status = this.#status): void {
    if (this.#c.TF_GetCode(status) === 0) return;
    throw new EngineError(`${what}: ${readCString(this.#c.TF_Message(status))}`);
  }

  #listDevices(): Device[] {
    const list = this.#c.TFE_ContextListDevices(this.#context, this.#status);
    this.#check("listing devices");
    const count = this.#c.TF_DeviceListCount(list);
    const devices = Array.from({ length: count }, (_, index) => ({
      name: readCString(this.#c.TF_DeviceListName(list, index, this.#status)),
      type: readCString(this.#c.TF_DeviceListType(list, index, this.#status)),
    }));
    this.#c.TF_DeleteDeviceList(list);
    return devices;
  }

  #node(id: number): EagerNode | GraphNode {
    const node = this.#nodes.get(id);
    if (node === undefined) throw new EngineError(this.disposedTensor());
    return node;
  }

  #eagerHandle(id: number): Pointer {
    const node = this.#node(id);
    if ("handle" in node) return node.handle;
    throw new EngineError(
      `a tensor made while jit "${node.trace.name}" was traced is used outside it; ` +
        `return it from the function instead`,
    );
  }

  #add(node: EagerNode | GraphNode): number {
    const id = this.#nextId++;
    this.#nodes.set(id, node);
    return id;
  }

  #allocate(
    shape: readonly number[],
    dtype: number,
    data: ArrayLike<number | bigint | boolean>,
  ): Pointer {
    const elementBytes = ELEMENT_BYTES[dtype];
    if (elementBytes === undefined) {
      throw new EngineError(`cannot create a tensor of TensorFlow data type ${dtype}`);
    }
    const count = shape.reduce((product, size) => product * size, 1);
    const byteCount = count * elementBytes;
    const dimensions = new BigInt64Array(shape.map(BigInt));
    const tensor = this.#c.TF_AllocateTensor(dtype, dimensions, shape.length, BigInt(byteCount))!;
    if (byteCount > 0) {
      const target = Deno.UnsafePointerView.getArrayBuffer(
        this.#c.TF_TensorData(tensor)!,
        byteCount,
      );
      writeElements(target, dtype, data, count);
    }
    return tensor;
  }

  #fromTensor(tensor: Pointer): number {
    const handle = this.#c.TFE_NewTensorHandle(tensor, this.#status);
    this.#check("creating a tensor");
    return this.#add({ handle: handle! });
  }

  #constant(tensor: Pointer, dtype: number): number {
    const trace = this.#trace!;
    const description = this.#describe(trace, "Const");
    this.#c.TF_SetAttrTensor(description, cString("value"), tensor, this.#status);
    this.#check("tracing a constant");
    this.#c.TF_SetAttrType(description, cString("dtype"), dtype);
    return this.#finish(trace, description, "a constant");
  }

  #placeholder(trace: Trace, dtype: number, shape: readonly number[]): number {
    const description = this.#describe(trace, "Placeholder");
    this.#c.TF_SetAttrType(description, cString("dtype"), dtype);
    const dimensions = new BigInt64Array(shape.map(BigInt));
    this.#c.TF_SetAttrShape(description, cString("shape"), dimensions, shape.length);
    return this.#finish(trace, description, "an input");
  }

  #describe(trace: Trace, opName: string): Pointer {
    const nodeName = new TextEncoder().encode(`n${trace.nodeCount++}\0`);
    return this.#c.TF_NewOperation(trace.graph, cString(opName), nodeName)!;
  }

  #finish(trace: Trace, description: Pointer, what: string): number {
    const operation = this.#c.TF_FinishOperation(description, this.#status);
    this.#check(`jit "${trace.name}": tracing ${what}`);
    return this.#add({ operation: operation!, index: 0, trace });
  }

  #addNode(
    name: string,
    attributes: readonly OpAttribute[],
    inputs: readonly number[],
    outputCount: number,
  ): TensorMetadata[] {
    const trace = this.#trace!;
    const ids = inputs.map((id) => this.#symbolicId(id));
    const description = this.#describe(trace, name);
    const trailing = VARIADIC[name];
    const listed = trailing === undefined ? 0 : ids.length - trailing;
    if (trailing !== undefined) {
      this.#c.TF_AddInputList(description, this.#packOutputs(ids.slice(0, listed)), listed);
    }
    for (const id of ids.slice(listed)) {
      this.#c.TF_AddInput(description, this.#packOutputs([id]));
    }
    // The length of a variadic input is inferred in a graph and must not be set again.
    const settable = trailing === undefined
      ? attributes
      : attributes.filter((attribute) => attribute.name !== "N");
    for (const attribute of settable) this.#setAttribute("TF_", description, attribute);
    const first = this.#finish(trace, description, `the operation ${name}`);
    const { operation } = this.#nodes.get(first) as GraphNode;
    const outputs = [this.#metadata(first)];
    for (let index = 1; index < outputCount; index++) {
      outputs.push(this.#metadata(this.#add({ operation, index, trace })));
    }
    return outputs;
  }

  /** The graph node of `id`; an eager tensor becomes an extra input of the function. */
  #symbolicId(id: number): number {
    const trace = this.#trace!;
    const node = this.#node(id);
    if (!("handle" in node)) {
      if (node.trace === trace) return id;
      throw new EngineError(
        `jit "${trace.name}" uses a tensor made while jit "${node.trace.name}" was traced`,
      );
    }
    const known = trace.captures.get(id);
    if (known !== undefined) return known.placeholder;
    const { dtype, shape } = this.#metadata(id);
    const placeholder = this.#placeholder(trace, dtype, shape);
    // A copy of the handle keeps the captured values alive when their tensor is disposed.
    const handle = this.#c.TFE_TensorHandleCopySharingTensor(node.handle, this.#status);
    this.#check("capturing a tensor");
    trace.captures.set(id, { placeholder, handle: handle! });
    return placeholder;
  }

  #packOutputs(ids: readonly number[]): Uint8Array<ArrayBuffer> {
    const bytes = new Uint8Array(16 * ids.length);
    const view = new DataView(bytes.buffer);
    ids.forEach((id, position) => {
      const { operation, index } = this.#nodes.get(id) as GraphNode;
      view.setBigUint64(16 * position, Deno.UnsafePointer.value(operation), true);
      view.setInt32(16 * position + 8, index, true);
    });
    return bytes;
  }

  #metadata(id: number): TensorMetadata {
    const node = this.#node(id);
    if ("handle" in node) {
      const rank = this.#c.TFE_TensorHandleNumDims(node.handle, this.#status);
      this.#check("reading a shape");
      const shape = Array.from(
        { length: rank },
        (_, axis) => Number(this.#c.TFE_TensorHandleDim(node.handle, axis, this.#status)),
      );
      return { id, shape, dtype: this.#c.TFE_TensorHandleDataType(node.handle) };
    }
    const output = this.#packOutputs([id]);
    const { graph, name } = node.trace;
    const rank = this.#c.TF_GraphGetTensorNumDims(graph, output, this.#status);
    this.#check(`jit "${name}": reading a shape`);
    const dimensions = new BigInt64Array(Math.max(rank, 1));
    if (rank > 0) {
      this.#c.TF_GraphGetTensorShape(graph, output, dimensions, rank, this.#status);
      this.#check(`jit "${name}": reading a shape`);
    }
    const shape = Array.from(dimensions.subarray(0, Math.max(rank, 0)), Number);
    if (rank < 0 || shape.some((size) => size < 0)) {
      throw new EngineError(
        `jit "${name}": the operation ${this.currentKernel ?? "being traced"} has a result whose ` +
          `shape depends on values, which a compiled function cannot have; use a fixed-shape operation`,
      );
    }
    return { id, shape, dtype: this.#c.TF_OperationOutputType(output) };
  }

  #execute(
    name: string,
    attributes: readonly OpAttribute[],
    inputs: readonly Pointer[],
    outputCount: number,
  ): TensorMetadata[] {
    const op = this.#prepare(name, attributes, inputs);
    try {
      const results = new BigUint64Array(Math.max(outputCount, 1));
      const resultCount = new Int32Array([outputCount]);
      this.#c.TFE_Execute(op, results, resultCount, this.#status);
      this.#check(name);
      return this.#adopt(results.subarray(0, resultCount[0]!));
    } finally {
      this.#c.TFE_DeleteOp(op);
    }
  }

  /** An eager operation with its attributes and inputs, ready to run; the caller deletes it. */
  #prepare(
    name: string,
    attributes: readonly OpAttribute[],
    inputs: readonly Pointer[],
  ): Pointer {
    const op = this.#c.TFE_NewOp(this.#context, cString(name), this.#status)!;
    this.#check(name);
    try {
      for (const attribute of attributes) this.#setAttribute("TFE_Op", op, attribute);
      for (const handle of inputs) {
        this.#c.TFE_OpAddInput(op, handle, this.#status);
        this.#check(name);
      }
      return op;
    } catch (error) {
      this.#c.TFE_DeleteOp(op);
      throw error;
    }
  }

  #adopt(addresses: BigUint64Array): TensorMetadata[] {
    return Array.from(
      addresses,
      (address) => this.#metadata(this.#add({ handle: Deno.UnsafePointer.create(address)! })),
    );
  }

  /** Sets an attribute of an eager operation (`TFE_Op`) or of a graph node (`TF_`). */
  #setAttribute(
    api: "TFE_Op" | "TF_",
    operation: Pointer,
    { name, type, value }: OpAttribute,
  ): void {
    const c = this.#c;
    const key = cString(name);
    switch (type) {
      case ATTRIBUTE.string: {
        const bytes = new TextEncoder().encode(value as string);
        return c[`${api}SetAttrString`](operation, key, bytes, BigInt(bytes.length));
      }
      case ATTRIBUTE.int:
        return Array.isArray(value)
          ? c[`${api}SetAttrIntList`](operation, key, toInt64(value), value.length)
          : c[`${api}SetAttrInt`](operation, key, BigInt(Math.trunc(value as number)));
      case ATTRIBUTE.float:
        return c[`${api}SetAttrFloat`](operation, key, value as number);
      case ATTRIBUTE.bool:
        return c[`${api}SetAttrBool`](operation, key, value ? 1 : 0);
      case ATTRIBUTE.type:
        return c[`${api}SetAttrType`](operation, key, value as number);
      case ATTRIBUTE.shape: {
        const shape = toInt64(value as readonly number[]);
        if (api === "TF_") return c.TF_SetAttrShape(operation, key, shape, shape.length);
        c.TFE_OpSetAttrShape(operation, key, shape, shape.length, this.#status);
        return this.#check(name);
      }
      default:
        throw new EngineError(`attribute ${name} has a type (${type}) that the engine cannot set`);
    }
  }
}

function toInt64(values: readonly number[]): BigInt64Array<ArrayBuffer> {
  return new BigInt64Array(values.map(BigInt));
}

/** Writes the first `count` values of `data` into `target` as elements of `dtype`. */
function writeElements(
  target: ArrayBuffer,
  dtype: number,
  data: ArrayLike<number | bigint | boolean>,
  count: number,
): void {
  if (dtype === DATA_TYPE.int64) {
    const view = new BigInt64Array(target);
    for (let i = 0; i < count; i++) view[i] = BigInt(data[i]!);
    return;
  }
  const view = dtype === DATA_TYPE.float32
    ? new Float32Array(target)
    : dtype === DATA_TYPE.int32
    ? new Int32Array(target)
    : new Uint8Array(target);
  if (ArrayBuffer.isView(data)) view.set(data as unknown as ArrayLike<number>);
  else for (let i = 0; i < count; i++) view[i] = Number(data[i]);
}

/** TensorFlow's ConfigProto with `intra_op_parallelism_threads`, its field 2, alone. */
function threadsConfig(threads: number): Uint8Array<ArrayBuffer> {
  const bytes = [2 << 3];
  let rest = threads;
  for (; rest > 0x7f; rest >>= 7) bytes.push(rest & 0x7f | 0x80);
  return Uint8Array.of(...bytes, rest);
}
