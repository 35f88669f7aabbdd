/**
 * The part of TensorFlow's C API (tensorflow/c/c_api.h and tensorflow/c/eager/c_api.h) that the
 * engine calls, bound through Deno's foreign function interface.
 */

const P = "pointer" as const;
const B = "buffer" as const;
/** `TF_Output`: an operation and the index of one of its outputs, passed by value. */
const OUTPUT = { struct: ["pointer", "i32"] } as const;

const SYMBOLS = {
  TF_Version: { parameters: [], result: P },
  TF_NewStatus: { parameters: [], result: P },
  TF_DeleteStatus: { parameters: [P], result: "void" },
  TF_GetCode: { parameters: [P], result: "i32" },
  TF_Message: { parameters: [P], result: P },

  TFE_NewContextOptions: { parameters: [], result: P },
  TFE_ContextOptionsSetConfig: { parameters: [P, B, "usize", P], result: "void" },
  TFE_DeleteContextOptions: { parameters: [P], result: "void" },
  TFE_NewContext: { parameters: [P, P], result: P },
  TFE_ContextListDevices: { parameters: [P, P], result: P },
  TF_DeviceListCount: { parameters: [P], result: "i32" },
  TF_DeviceListName: { parameters: [P, "i32", P], result: P },
  TF_DeviceListType: { parameters: [P, "i32", P], result: P },
  TF_DeleteDeviceList: { parameters: [P], result: "void" },

  TF_AllocateTensor: { parameters: ["i32", B, "i32", "usize"], result: P },
  TF_TensorData: { parameters: [P], result: P },
  TF_TensorByteSize: { parameters: [P], result: "usize" },
  TF_DeleteTensor: { parameters: [P], result: "void" },

  TFE_NewTensorHandle: { parameters: [P, P], result: P },
  TFE_TensorHandleCopySharingTensor: { parameters: [P, P], result: P },
  TFE_DeleteTensorHandle: { parameters: [P], result: "void" },
  TFE_TensorHandleResolve: { parameters: [P, P], result: P },
  TFE_TensorHandleNumDims: { parameters: [P, P], result: "i32" },
  TFE_TensorHandleDim: { parameters: [P, "i32", P], result: "i64" },
  TFE_TensorHandleDataType: { parameters: [P], result: "i32" },

  TFE_NewOp: { parameters: [P, B, P], result: P },
  TFE_DeleteOp: { parameters: [P], result: "void" },
  TFE_OpAddInput: { parameters: [P, P, P], result: "void" },
  TFE_OpSetAttrString: { parameters: [P, B, B, "usize"], result: "void" },
  TFE_OpSetAttrInt: { parameters: [P, B, "i64"], result: "void" },
  TFE_OpSetAttrIntList: { parameters: [P, B, B, "i32"], result: "void" },
  TFE_OpSetAttrFloat: { parameters: [P, B, "f32"], result: "void" },
  TFE_OpSetAttrBool: { parameters: [P, B, "u8"], result: "void" },
  TFE_OpSetAttrType: { parameters: [P, B, "i32"], result: "void" },
  TFE_OpSetAttrShape: { parameters: [P, B, B, "i32", P], result: "void" },
  TFE_Execute: { parameters: [P, B, B, P], result: "void" },

  TF_NewGraph: { parameters: [], result: P },
  TF_DeleteGraph: { parameters: [P], result: "void" },
  TF_NewOperation: { parameters: [P, B, B], result: P },
  TF_AddInput: { parameters: [P, OUTPUT], result: "void" },
  TF_AddInputList: { parameters: [P, B, "i32"], result: "void" },
  TF_FinishOperation: { parameters: [P, P], result: P },
  TF_SetAttrString: { parameters: [P, B, B, "usize"], result: "void" },
  TF_SetAttrInt: { parameters: [P, B, "i64"], result: "void" },
  TF_SetAttrIntList: { parameters: [P, B, B, "i32"], result: "void" },
  TF_SetAttrFloat: { parameters: [P, B, "f32"], result: "void" },
  TF_SetAttrBool: { parameters: [P, B, "u8"], result: "void" },
  TF_SetAttrType: { parameters: [P, B, "i32"], result: "void" },
  TF_SetAttrShape: { parameters: [P, B, B, "i32"], result: "void" },
  TF_SetAttrTensor: { parameters: [P, B, P, P], result: "void" },
  TF_OperationOutputType: { parameters: [OUTPUT], result: "i32" },
  TF_GraphGetTensorNumDims: { parameters: [P, OUTPUT, P], result: "i32" },
  TF_GraphGetTensorShape: { parameters: [P, OUTPUT, B, "i32", P], result: "void" },
  TF_GraphToFunction: {
    parameters: [P, B, "u8", "i32", P, "i32", B, "i32", B, P, P, P, P],
    result: P,
  },
  TF_DeleteFunction: { parameters: [P], result: "void" },
  TFE_ContextAddFunction: { parameters: [P, P, P], result: "void" },
  TFE_ContextRemoveFunction: { parameters: [P, B, P], result: "void" },
} as const satisfies Deno.ForeignLibraryInterface;

/**
 * What waits for other processes, on threads of their own (tensorflow/c/c_api_experimental.h and
 * tensorflow/c/eager/c_api_experimental.h).
 */
const WAITING_SYMBOLS = {
  TFE_Execute: { parameters: [P, B, B, P], result: "void", nonblocking: true },
  TFE_EnableCollectiveOps: { parameters: [P, B, "usize", P], result: "void", nonblocking: true },
  TFE_CollectiveOpsCheckPeerHealth: {
    parameters: [P, B, "i64", P],
    result: "void",
    nonblocking: true,
  },
  TFE_InsertConfigKeyValue: { parameters: [P, B, B, P], result: "void", nonblocking: true },
  TFE_GetConfigKeyValue: { parameters: [P, B, "i64", P, P], result: "void", nonblocking: true },
  TFE_ReportErrorToCluster: { parameters: [P, "i32", B, P], result: "void", nonblocking: true },
  TF_NewStatus: { parameters: [], result: P },
  TF_DeleteStatus: { parameters: [P], result: "void" },
  TF_GetCode: { parameters: [P], result: "i32" },
  TF_Message: { parameters: [P], result: P },
  TF_NewBuffer: { parameters: [], result: P },
  TF_DeleteBuffer: { parameters: [P], result: "void" },
} as const satisfies Deno.ForeignLibraryInterface;

/** TensorFlow's data type codes (`TF_DataType`). */
export const DATA_TYPE = {
  float32: 1,
  uint8: 4,
  int32: 3,
  string: 7,
  complex64: 8,
  int64: 9,
  bool: 10,
  resource: 20,
  uint64: 23,
} as const;

/** Bytes of one element, for the types that the engine creates or reads. */
export const ELEMENT_BYTES: Readonly<Record<number, number>> = {
  [DATA_TYPE.float32]: 4,
  [DATA_TYPE.int32]: 4,
  [DATA_TYPE.uint8]: 1,
  [DATA_TYPE.int64]: 8,
  [DATA_TYPE.bool]: 1,
};

export type Pointer = NonNullable<Deno.PointerValue>;
export type CApi = Deno.DynamicLibrary<typeof SYMBOLS>["symbols"];
export type WaitingApi = Deno.DynamicLibrary<typeof WAITING_SYMBOLS>["symbols"];

/** Opens the shared library at `path`; throws what the loader says when it cannot. */
export function openTensorFlow(path: string): CApi {
  return Deno.dlopen(path, SYMBOLS).symbols;
}

/** The same library once more, for a process that is one of several. */
export function openWaiting(path: string): WaitingApi {
  return Deno.dlopen(path, WAITING_SYMBOLS).symbols;
}

export function readCString(pointer: Deno.PointerValue): string {
  return pointer === null ? "" : new Deno.UnsafePointerView(pointer).getCString();
}

const cStrings = new Map<string, Uint8Array<ArrayBuffer>>();

/** A NUL-terminated copy of `text`; cached, since op and attribute names repeat. */
export function cString(text: string): Uint8Array<ArrayBuffer> {
  let bytes = cStrings.get(text);
  if (bytes === undefined) cStrings.set(text, bytes = new TextEncoder().encode(`${text}\0`));
  return bytes;
}
