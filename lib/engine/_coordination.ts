/**
 * TensorFlow's coordination service, which runs in worker 0: it waits for all workers at the start,
 * keeps small texts for them, listens to their heartbeats, and tells all of them of an error of one.
 */

import { EngineError } from "./_binding.ts";
import { cString, openWaiting, type Pointer, readCString, type WaitingApi } from "./_c_api.ts";

/** TensorFlow's code of an error that a user must do something about: FAILED_PRECONDITION. */
const REPORTED = 9;

export class Coordination {
  readonly #c: WaitingApi;
  readonly #context: Pointer;

  constructor({ libraryPath, context }: { libraryPath: string; context: Pointer }) {
    this.#c = openWaiting(libraryPath);
    this.#context = context;
  }

  /** Starts this worker's server and waits for the others. */
  async enable(serverDef: Uint8Array<ArrayBuffer>): Promise<void> {
    await this.#call("starting the server", (status) =>
      this.#c.TFE_EnableCollectiveOps(
        this.#context,
        serverDef,
        BigInt(serverDef.length),
        status,
      ));
  }

  /** Keeps a text under a key that has none yet. */
  async put(key: string, value: string): Promise<void> {
    const [name, text] = [newCString(key), newCString(value)];
    await this.#call(
      "keeping a text",
      (status) => this.#c.TFE_InsertConfigKeyValue(this.#context, name, text, status),
    );
  }

  /** The text under a key, which some worker has put there. */
  async get(key: string, timeoutSeconds: number): Promise<string> {
    const name = newCString(key);
    const buffer = this.#c.TF_NewBuffer()!;
    try {
      await this.#call("reading a text", (status) =>
        this.#c.TFE_GetConfigKeyValue(
          this.#context,
          name,
          BigInt(1000 * timeoutSeconds),
          buffer,
          status,
        ));
      // TF_Buffer: a pointer to the data, and its length.
      const view = new Deno.UnsafePointerView(buffer);
      const data = Deno.UnsafePointer.create(view.getBigUint64(0));
      const length = Number(view.getBigUint64(8));
      if (data === null || length === 0) return "";
      return new TextDecoder().decode(Deno.UnsafePointerView.getArrayBuffer(data, length).slice(0));
    } finally {
      this.#c.TF_DeleteBuffer(buffer);
    }
  }

  /** Ends all that any worker waits for, now and later, with this message. */
  async report(text: string): Promise<void> {
    const bytes = newCString(text);
    await this.#call(
      "reporting an error",
      (status) => this.#c.TFE_ReportErrorToCluster(this.#context, REPORTED, bytes, status),
    );
  }

  /** Whether a worker answers, by TensorFlow's name of it. */
  async answers(task: string, timeoutSeconds: number): Promise<boolean> {
    try {
      await this.#call("asking a worker", (status) =>
        this.#c.TFE_CollectiveOpsCheckPeerHealth(
          this.#context,
          cString(task),
          BigInt(1000 * timeoutSeconds),
          status,
        ));
      return true;
    } catch (error) {
      if (error instanceof EngineError) return false;
      throw error;
    }
  }

  async #call(what: string, call: (status: Pointer) => Promise<void>): Promise<void> {
    const status = this.#c.TF_NewStatus()!;
    try {
      await call(status);
      if (this.#c.TF_GetCode(status) === 0) return;
      throw new EngineError(`${what}: ${readCString(this.#c.TF_Message(status))}`);
    } finally {
      this.#c.TF_DeleteStatus(status);
    }
  }
}

/** Not cString, which remembers all that it has seen: these texts are new every time. */
function newCString(text: string): Uint8Array<ArrayBuffer> {
  return new TextEncoder().encode(`${text}\0`);
}
