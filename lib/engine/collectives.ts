/**
 * Several processes that train one model: TensorFlow's own collective operations between them, and
 * its coordination service, which notices a worker that is gone.
 *
 * A worker that dies, hangs or cannot be reached ends the work of all others, within
 * {@linkcode lostWithinSeconds} where they wait for it.
 */

import * as tf from "@tensorflow/tfjs";
import { UserError } from "../errors.ts";
import { EngineError } from "./_binding.ts";
import {
  type Cluster,
  clusterConfig,
  serverDef,
  taskName,
  type Timeouts,
} from "./_cluster_protos.ts";
import { Coordination } from "./_coordination.ts";
import { activeTensorFlow, type TensorFlowBackend, typeAttribute } from "./_tensorflow.ts";
import { type BackendName, initEngine, type MatmulPrecision } from "./backend.ts";
import type { Tensor } from "./tensor.ts";

/** No worker goes on: one was lost, or they found that they do not belong together. */
export class WorkersError extends UserError {
  constructor(readonly reason: "lost" | "refused", message: string) {
    super(message);
  }
}

const DEFAULT_TIMEOUTS: Timeouts = { startSeconds: 300, heartbeatSeconds: 10 };

/** No step of any worker takes so long: what waits longer for one that answers waits in vain. */
const STEP_SECONDS = 900;
/** How long workers wait for each other between steps: some prepare text for hours. */
const EXCHANGE_SECONDS = 7 * 24 * 3600;
/** How long a worker that answers at all may take to answer. */
const ANSWER_SECONDS = 3;
/** How often, within a heartbeat's time, a worker that waits for others asks whether they are there. */
const ASKED_PER_HEARTBEAT = 8;
/** How long a worker tries to tell of a failure; how long it then stays to be heard and to answer. */
const FAREWELL_MS = 2000;

/**
 * The longest time from the loss of a worker to the end of the others that wait for it. One that
 * evaluates, compiles or prepares text notices it behind that.
 */
export function lostWithinSeconds(heartbeatSeconds = DEFAULT_TIMEOUTS.heartbeatSeconds): number {
  const noticed = heartbeatSeconds * (1 + 2 / ASKED_PER_HEARTBEAT) + 2 * ANSWER_SECONDS;
  return noticed + 3 * FAREWELL_MS / 1000;
}

/** Workers that are started together find each other sooner. */
const QUIET_MS = 10_000;

function waitingLine({ addresses, index }: Cluster, { startSeconds }: Timeouts): string {
  const others = addresses.flatMap((address, other) =>
    other === index ? [] : [`worker ${other} (${address})`]
  );
  return `worker ${index} (${addresses[index]}): waiting for ${others.join(", ")}, up to ` +
    `${startSeconds} s in all`;
}

/** Stand before messages of workers among TensorFlow's own. */
const MARKS = { lost: "<worker lost> ", refused: "<workers refused> " } as const;

export type JoinOptions = Readonly<{
  backend?: BackendName | undefined;
  matmulPrecision?: MatmulPrecision | undefined;
  timeouts?: Partial<Timeouts>;
  log?: (line: string) => void;
  /** Receives a line when this worker has waited a while for the others; standard error by default. */
  onWait?: (line: string) => void;
}>;

/**
 * Starts the engine of a worker and waits for all others.
 *
 * @throws UserError when the engine is not TensorFlow, when the worker's port cannot be had, and
 *   when some do not come in time or do not belong together, saying which.
 */
export async function joinWorkers(
  cluster: Cluster,
  { timeouts, onWait = console.error, ...engine }: JoinOptions = {},
): Promise<Workers> {
  const allTimeouts = { ...DEFAULT_TIMEOUTS, ...timeouts };
  const config = clusterConfig(cluster, allTimeouts);
  const status = await initEngine({ ...engine, clusterConfig: config });
  const native = activeTensorFlow();
  if (native === null) {
    const help = engine.backend === undefined ? 'run "deno task setup"' : "force no other one";
    throw new UserError(
      `several workers need the backend tensorflow, found ${status.backend}; ${help}`,
    );
  }
  const coordination = new Coordination(native.binding);
  const definition = serverDef(cluster, config);
  // TensorFlow's server has taken SIGTERM for itself by then, and would ignore it.
  const restoreTermination = endAtTermination(1000);
  const waiting = setTimeout(() => onWait(waitingLine(cluster, allTimeouts)), QUIET_MS);
  try {
    await coordination.enable(definition);
  } catch (error) {
    throw startFailure(cluster, allTimeouts.startSeconds, error);
  } finally {
    clearTimeout(waiting);
    restoreTermination();
  }
  return new Workers(cluster, native, coordination, allTimeouts.heartbeatSeconds);
}

/** The workers, as one of them sees them. */
export class Workers {
  readonly index: number;
  readonly count: number;
  readonly addresses: readonly string[];
  readonly #native: TensorFlowBackend;
  readonly #coordination: Coordination;
  readonly #heartbeatSeconds: number;
  /** The indices of all workers but this one. */
  readonly #others: readonly number[];
  /** Of texts that are exchanged, so that each has a name of its own. */
  #exchanges = 0;
  /** Of collective operations, by what they sum; workers make them in the same order. */
  readonly #instances = new Map<string, number>();

  constructor(
    { addresses, index }: Cluster,
    native: TensorFlowBackend,
    coordination: Coordination,
    heartbeatSeconds: number,
  ) {
    this.index = index;
    this.count = addresses.length;
    this.addresses = addresses;
    this.#native = native;
    this.#coordination = coordination;
    this.#heartbeatSeconds = heartbeatSeconds;
    this.#others = [...addresses.keys()].filter((other) => other !== index);
  }

  /**
   * The sums over all workers of tensors of the same shapes, bit by bit the same on each of them.
   * The caller frees them.
   *
   * @throws WorkersError when another worker is lost.
   */
  allReduceSum(tensors: readonly Tensor[]): Promise<Tensor[]> {
    return this.#guarded(() =>
      Promise.all(tensors.map((tensor, place) => this.#reduce(tensor, place)))
    );
  }

  /**
   * The texts of all workers, in their order; each waits for all.
   *
   * @throws WorkersError when another worker is lost.
   */
  async exchange(text: string): Promise<string[]> {
    const name = `exchange ${this.#exchanges++}`;
    await this.#guarded(() => this.#coordination.put(`${name}/${this.index}`, text));
    const arrived = tf.scalar(1);
    const sum = await this.#guarded(() => this.#reduce(arrived, 0, EXCHANGE_SECONDS));
    for (const scalar of [sum, arrived]) scalar.dispose(); // all texts are there
    return await this.#guarded(() =>
      Promise.all(
        this.addresses.map((_, index) =>
          this.#coordination.get(`${name}/${index}`, ANSWER_SECONDS)
        ),
      )
    );
  }

  /**
   * Waits until all have come here. Worker 0, whose process holds what the others still read, is the
   * last to go on, so that all may end then.
   *
   * @throws WorkersError when another worker is lost before.
   */
  async meet(): Promise<void> {
    const name = `met ${this.#exchanges}`;
    await this.exchange("");
    if (this.index > 0) {
      const left = this.#coordination.put(`${name}/${this.index}`, "left").catch(ignoreEngine);
      await Promise.race([left, delay(FAREWELL_MS)]);
      return;
    }
    const left = this.#others.map((other) =>
      this.#coordination.get(`${name}/${other}`, ANSWER_SECONDS)
    );
    await Promise.all(left).catch(ignoreEngine);
  }

  /** Which worker, for a message. */
  nameOf(index: number): string {
    return `worker ${index} (${this.addresses[index]})`;
  }

  /** Tells all workers why they cannot go on. Every worker that knows of it may tell them. */
  async refuse(message: string): Promise<never> {
    return await this.#leave("refused", message);
  }

  async #reduce(tensor: Tensor, place: number, seconds = STEP_SECONDS): Promise<Tensor> {
    const { binding } = this.#native;
    const what = `${place} ${tensor.dtype} ${tensor.shape} ${seconds}`;
    const instance = this.#instances.get(what) ?? this.#instances.size + 1;
    this.#instances.set(what, instance);
    const numbers = [this.count, GROUP, instance].map((n) => tf.scalar(n, "int32"));
    try {
      const [sum] = await binding.executeWaiting(
        "CollectiveReduceV2",
        [
          typeAttribute("T", tensor.dtype as "float32" | "int32"),
          { name: "merge_op", type: binding.TF_ATTR_STRING, value: "Add" },
          { name: "final_op", type: binding.TF_ATTR_STRING, value: "Id" },
          { name: "communication_hint", type: binding.TF_ATTR_STRING, value: "ring" },
          { name: "timeout_seconds", type: binding.TF_ATTR_FLOAT, value: seconds },
          { name: "Nordering_token", type: binding.TF_ATTR_INT, value: 0 },
        ],
        this.#native.getInputTensorIds([tensor, ...numbers]),
        1,
      );
      return this.#native.createOutputTensor(sum!);
    } finally {
      for (const number of numbers) number.dispose();
    }
  }

  async #guarded<T>(wait: () => Promise<T>): Promise<T> {
    const watch = this.#watchOthers();
    const outcome = await Promise.race([
      wait().then((value) => ({ value }), (error: unknown) => ({ error })),
      watch.silent.then((silent) => ({ silent })),
    ]);
    watch.end();
    if ("value" in outcome) return outcome.value;
    if ("silent" in outcome) {
      return await this.#leave("lost", this.#describeSilent(outcome.silent));
    }
    const { error } = outcome;
    if (!(error instanceof EngineError)) throw error;
    for (const reason of ["lost", "refused"] as const) {
      const reported = error.message.split(MARKS[reason])[1]?.split("\n", 1)[0];
      if (reported === undefined) continue;
      if (this.index === 0) await delay(FAREWELL_MS); // the others hear of it from here
      throw new WorkersError(reason, reported);
    }
    return await this.#leave("lost", await this.#describeLoss(error.message));
  }

  /**
   * Asks the others whether they are there, for as long as this worker waits for them: silent is who
   * answers none of two or more questions for a heartbeat's time. TensorFlow's own heartbeats find most
   * losses first, but not all: where worker 0, which counts them, is cut off, an operation that
   * waits for it is not always ended.
   */
  #watchOthers(): Readonly<{ silent: Promise<number[]>; end: () => void }> {
    const { promise, resolve, reject } = Promise.withResolvers<number[]>();
    const heartbeat = 1000 * this.#heartbeatSeconds;
    /** Of each other, the questions that it has not answered since its last answer. */
    const unanswered = this.#others.map(() => ({ since: 0, count: 0 }));
    let isOver = false;
    const askLater = () => setTimeout(() => ask().catch(reject), heartbeat / ASKED_PER_HEARTBEAT);
    const ask = async () => {
      const askedAt = performance.now();
      const silentNow = await this.#askOthers();
      const silent = this.#others.filter((other, at) => {
        const { since, count } = unanswered[at]!;
        unanswered[at] = silentNow.includes(other)
          ? { since: count === 0 ? askedAt : since, count: count + 1 }
          : { since: 0, count: 0 };
        return count >= 1 && silentNow.includes(other) && performance.now() - since >= heartbeat;
      });
      if (silent.length > 0) return resolve(silent);
      if (!isOver) timer = askLater();
    };
    let timer = askLater();
    return {
      silent: promise,
      end: () => {
        isOver = true;
        clearTimeout(timer);
      },
    };
  }

  /** Those of the others that do not answer. */
  async #askOthers(): Promise<number[]> {
    const answers = await Promise.all(
      this.#others.map((other) => this.#coordination.answers(taskName(other), ANSWER_SECONDS)),
    );
    return this.#others.filter((_, at) => !answers[at]);
  }

  /** Tells the others and ends; an operation that still waits for one of them ends with the process. */
  async #leave(reason: keyof typeof MARKS, message: string): Promise<never> {
    // Worker 0, which passes it on, may be the one that is gone.
    const told = this.#coordination.report(`${MARKS[reason]}${message}`).catch(ignoreEngine);
    await Promise.race([told, delay(FAREWELL_MS)]);
    await delay(FAREWELL_MS);
    throw new WorkersError(reason, message);
  }

  /** Who was lost: those that do not answer, or whom TensorFlow names. */
  async #describeLoss(found: string): Promise<string> {
    const silent = await this.#askOthers();
    if (silent.length > 0) return this.#describeSilent(silent);
    const named = this.#others.filter((other) => found.includes(taskName(other)));
    if (named.length > 0) return this.#notAnswering(named);
    return `the workers lost each other: ${found.split("\n", 1)[0]}`;
  }

  #describeSilent(silent: readonly number[]): string {
    // Without worker 0, which coordinates all, the others end too and do not answer either.
    return this.#notAnswering(silent.includes(0) ? [0] : silent);
  }

  #notAnswering(lost: readonly number[]): string {
    const names = lost.map((index) => this.nameOf(index)).join(", ");
    return `${names} ${lost.length === 1 ? "does" : "do"} not answer`;
  }
}

/** All workers are one group. */
const GROUP = 1;

function ignoreEngine(error: unknown): void {
  if (!(error instanceof EngineError)) throw error;
}

function delay(milliseconds: number): Promise<void> {
  return new Promise((resolve) => setTimeout(resolve, milliseconds));
}

/** Ends the process at SIGTERM from `afterMilliseconds` on; gives what ends that. */
function endAtTermination(afterMilliseconds: number): () => void {
  if (Deno.build.os === "windows") return () => {};
  const end = () => Deno.exit(143);
  let isListening = false;
  const timer = setTimeout(() => {
    Deno.addSignalListener("SIGTERM", end);
    isListening = true;
  }, afterMilliseconds);
  return () => {
    clearTimeout(timer);
    if (isListening) Deno.removeSignalListener("SIGTERM", end);
  };
}

function startFailure(
  { addresses, index }: Cluster,
  startSeconds: number,
  error: unknown,
): Error {
  if (!(error instanceof EngineError)) return error as Error;
  const { message } = error;
  const own = `worker ${index} (${addresses[index]})`;
  if (message.includes("Could not start gRPC server")) {
    return new UserError(
      `${own}: its port cannot be had; end what uses it, or give the worker another one in TF_CONFIG`,
    );
  }
  if (message.includes("Unexpected task registered")) {
    return new UserError(
      `${own}: worker 0 (${addresses[0]}) expects fewer than ${addresses.length} workers; give ` +
        "all the same cluster in TF_CONFIG",
    );
  }
  const missing = addresses.flatMap((address, other) =>
    other !== index && message.includes(taskName(other)) && message.includes("timed out task names")
      ? [`worker ${other} (${address})`]
      : []
  ).filter((name, _, all) => all.length === 1 || name !== `worker 0 (${addresses[0]})`);
  if (missing.length > 0) {
    return new UserError(
      `${own}: ${missing.join(", ")} did not come within ${startSeconds} s; start all workers, ` +
        "with the same cluster in TF_CONFIG",
    );
  }
  return new UserError(
    `${own}: worker 0 (${addresses[0]}) could not be joined within ${startSeconds} s ` +
      `(${message.split("\n", 1)[0]}); start all workers, with the same cluster in TF_CONFIG`,
  );
}
