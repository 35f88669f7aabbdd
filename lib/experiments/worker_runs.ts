/** Runs that several workers train together: what they must agree on, and what each of them does. */

import {
  disposeTree,
  engineStatus,
  leavesOf,
  type Tensor,
  withLeaves,
  type Workers,
  WorkersError,
  zerosLike,
} from "../engine/mod.ts";
import {
  checkDataParallel,
  type DataParallel,
  type Session,
  type TrainingRecord,
} from "../train/mod.ts";
import { gitCommit } from "./provenance.ts";
import type { RunSpec } from "./run_spec.ts";

type Planned = Readonly<{ spec: RunSpec; id: string; stored: object | null }>;

/** What must be the same everywhere, by the words that messages name it with. */
type Facts = Readonly<Record<string, string>>;

/**
 * The runs that worker 0 trains, in its order, as this worker has planned them.
 *
 * @throws WorkersError when workers differ in library, code or runs, saying which and in what.
 * @throws UserError for a run that would have other losses on several workers.
 */
export async function agreeOnRuns<Run extends Planned>(
  workers: Workers,
  planned: readonly Run[],
): Promise<Run[]> {
  for (const { spec } of planned) checkDataParallel(spec.training, workers.count);
  const own = {
    facts: await factsOf(workers, planned),
    ids: planned.flatMap(({ id, stored }) => stored === null ? [id] : []),
  };
  const all = (await workers.exchange(JSON.stringify(own)))
    .map((text) => JSON.parse(text) as typeof own);
  const first = all[0]!;
  for (const [index, { facts }] of all.entries()) {
    const name = differenceOf(facts, first.facts);
    if (name === undefined) continue;
    const [found, expected] = [facts, first.facts].map((one) => one[name] ?? "none");
    await workers.refuse(
      `${workers.nameOf(index)} has ${name} ${found}, worker 0 has ${expected}; ` +
        "start all workers with the same code, library and options",
    );
  }
  return first.ids.map((id) => ({ ...planned.find((run) => run.id === id)!, stored: null }));
}

/**
 * Lets worker 0 do what only one process may do at a time, tokenizing text into a cache that all
 * share, before the others find it done.
 */
export async function afterWorker0<T>(workers: Workers, work: () => Promise<T>): Promise<T> {
  if (workers.index !== 0) await workers.exchange("");
  const result = await work();
  if (workers.index === 0) await workers.exchange("");
  return result;
}

async function factsOf({ addresses }: Workers, planned: readonly Planned[]): Promise<Facts> {
  const status = engineStatus();
  return {
    addresses: addresses.join(", "),
    TensorFlow: status?.tensorflow?.version ?? "none",
    Deno: Deno.version.deno,
    threads: `${status?.threads}`,
    commit: await gitCommit(),
    device: status?.device ?? "none",
    runs: `${planned.length}`,
    ...Object.fromEntries(planned.flatMap(({ spec }, run) => leavesOfValue(spec, `run ${run}:`))),
    // Behind the options, which say more: what is left is the text.
    ...Object.fromEntries(planned.map(({ id }, run) => [`run ${run}, by options and text`, id])),
  };
}

/** Labels, and where a text lies: its content is part of the run's id. */
const NOT_COMPARED = ["arm", "family", "corpus", "textField", "limit"];

/** Every value of a tree of JSON by its path. */
function leavesOfValue(value: unknown, path: string): [string, string][] {
  if (typeof value !== "object" || value === null) return [[path, JSON.stringify(value)]];
  return Object.entries(value).flatMap(([key, child]) =>
    NOT_COMPARED.includes(key)
      ? []
      : leavesOfValue(child, path.endsWith(":") ? `${path} ${key}` : `${path}.${key}`)
  );
}

function differenceOf(found: Facts, expected: Facts): string | undefined {
  const names = [...Object.keys(expected), ...Object.keys(found)];
  return names.find((name) => found[name] !== expected[name]);
}

type Progress = Omit<Session, "state" | "frozen">;

/** Gives the others where worker 0 stands, if that is not the beginning. */
export async function leadSession(
  workers: Workers,
  session: Session,
  hasCheckpoint: boolean,
): Promise<Session> {
  const { state, frozen, ...progress } = session;
  await workers.exchange(hasCheckpoint ? JSON.stringify(progress satisfies Progress) : "");
  if (!hasCheckpoint) return session;
  return { ...progress, frozen, state: await sumOf(workers, state) };
}

/** Takes over where worker 0 stands; `session` is at the beginning. */
export async function followSession(workers: Workers, session: Session): Promise<Session> {
  const [progress] = await workers.exchange("");
  if (!progress) return session;
  const { state, frozen } = session;
  const zeros = withLeaves(
    state,
    leavesOf(state).map((leaf) => zerosLike(leaf)),
  );
  disposeTree(state);
  return { ...JSON.parse(progress) as Progress, frozen, state: await sumOf(workers, zeros) };
}

/** One tensor after another, as each may be large; frees the given ones. */
async function sumOf<State extends Session["state"]>(
  workers: Workers,
  state: State,
): Promise<State> {
  const sums: Tensor[] = [];
  for (const leaf of leavesOf(state)) {
    sums.push(...await workers.allReduceSum([leaf]));
    leaf.dispose();
  }
  return withLeaves(state, sums);
}

/**
 * The records of worker 0. When another worker is lost, its own state is whole: it is saved, and the
 * error says so. Only there are steps saved behind which parameters have not been compared.
 */
export async function* leadRecords(
  records: AsyncIterable<TrainingRecord>,
  session: Session,
  save: () => Promise<void>,
  checkpointPath: string,
): AsyncGenerator<TrainingRecord, void, void> {
  try {
    yield* records;
  } catch (error) {
    if (!(error instanceof WorkersError)) throw error;
    if (error.reason === "lost") await save();
    const where = error.reason === "lost"
      ? `the checkpoint of step ${session.step} is ${checkpointPath}`
      : `the last checkpoint is ${checkpointPath}`;
    throw new WorkersError(
      error.reason,
      `${error.message}; ${where}; start all workers again to go on from there`,
    );
  }
}

/**
 * Waits, behind the training of a run, until worker 0 has measured and stored it: what follows may
 * need it, and a cluster that starts failed workers again should find all of them failed or none.
 *
 * @throws WorkersError on another worker, when worker 0 is lost.
 */
export async function awaitStored(workers: Workers): Promise<void> {
  try {
    await workers.meet();
  } catch (error) {
    if (!(error instanceof WorkersError)) throw error;
    if (workers.index === 0) return; // the run is whole, whoever is gone
    throw new WorkersError(
      error.reason,
      `${error.message}; training had ended, but not its measuring; start all workers again`,
    );
  }
}

/** The end of training on another worker than 0, which keeps no records. */
export async function followRecords(
  records: AsyncIterable<TrainingRecord>,
  { saved }: DataParallel,
): Promise<TrainingRecord & { type: "end" }> {
  try {
    for await (const record of records) if (record.type === "end") return record;
  } catch (error) {
    if (!(error instanceof WorkersError)) throw error;
    const where = saved.step === null
      ? "worker 0 had saved no checkpoint when it was last heard of"
      : `worker 0 has a checkpoint of step ${saved.step} or later`;
    throw new WorkersError(error.reason, `${error.message}; ${where}; start all workers again`);
  }
  throw new Error("training ended without an end record");
}
