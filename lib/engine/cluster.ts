/**
 * Which workers there are, by the environment: `TF_CONFIG`, the convention of TensorFlow, Kubeflow
 * and SageMaker, or the variables of a Slurm job step of several tasks.
 *
 *   TF_CONFIG={"cluster":{"worker":["a:2222","b:2222"]},"task":{"type":"worker","index":0}}
 */

import { UserError } from "../errors.ts";
import type { Cluster } from "./_cluster_protos.ts";
import { slurmCluster } from "./_slurm.ts";

export type { Cluster } from "./_cluster_protos.ts";

export const CLUSTER_VARIABLE = "TF_CONFIG";

type Environment = Readonly<Record<string, string | undefined>>;

/**
 * The workers of which this process is one, or null for a process of its own.
 *
 * @throws UserError when the variables are wrong or contradict each other.
 */
export function clusterFromEnvironment(
  environment: Environment = Deno.env.toObject(),
): Cluster | null {
  const text = environment[CLUSTER_VARIABLE];
  const cluster = text ? parseTfConfig(text) : slurmCluster(environment);
  return cluster === null || cluster.addresses.length === 1 ? null : cluster;
}

/** What `TF_CONFIG` is for a worker. */
export function formatTfConfig({ addresses, index }: Cluster): string {
  return JSON.stringify({ cluster: { worker: addresses }, task: { type: "worker", index } });
}

/** A chief is worker 0; its tasks come first. */
const JOBS = ["chief", "master", "worker"];

/**
 * The workers that `TF_CONFIG` names: a chief, if there is one, and the workers, in this order.
 *
 * @throws UserError saying what is wrong with it.
 */
export function parseTfConfig(text: string): Cluster {
  let config;
  try {
    config = JSON.parse(text);
  } catch {
    return refuse("JSON", JSON.stringify(text));
  }
  if (!isRecord(config) || !isRecord(config.cluster)) {
    return refuse(`{"cluster": {"worker": ["host:port", …]}, "task": …}`, text);
  }
  const { cluster, task } = config;
  const unknown = Object.keys(cluster).find((job) => !JOBS.includes(job));
  if (unknown !== undefined) {
    return refuse(
      `jobs ${JOBS.join(", ")} in its cluster`,
      `${unknown}: training is synchronous, without parameter servers or evaluators`,
    );
  }
  const tasks = JOBS.flatMap((job) =>
    listOf(job, cluster[job]).map((address, index) => ({ job, index, address }))
  );
  const addresses = tasks.map(({ address }) => address);
  if (addresses.length === 0) return refuse("a worker in its cluster", "none");
  const twice = addresses.find((address, at) => addresses.indexOf(address) !== at);
  if (twice !== undefined) return refuse("an address of its own for each worker", `${twice} twice`);
  if (!isRecord(task)) return refuse(`a task, {"type": "worker", "index": 0}`, "none");
  const index = tasks.findIndex(({ job, index }) => job === task.type && index === task.index);
  if (index < 0) {
    const jobs = JOBS.filter((job) => job in cluster)
      .map((job) => `${job} 0 … ${listOf(job, cluster[job]).length - 1}`);
    return refuse(`a task of its cluster, ${jobs.join(", ")}`, JSON.stringify(task));
  }
  return { addresses, index };
}

function listOf(job: string, value: unknown): string[] {
  if (value === undefined) return [];
  if (!Array.isArray(value)) return refuse(`a list of addresses for ${job}`, JSON.stringify(value));
  return value.map((address) => {
    const port = typeof address === "string" ? /^[^\s:/]+:(\d+)$/.exec(address)?.[1] : undefined;
    if (port !== undefined && Number(port) >= 1 && Number(port) <= 65_535) return address;
    return refuse(`addresses host:port for ${job}`, JSON.stringify(address));
  });
}

function isRecord(value: unknown): value is Record<string, unknown> {
  return typeof value === "object" && value !== null && !Array.isArray(value);
}

function refuse(expected: string, found: string): never {
  throw new UserError(
    `${CLUSTER_VARIABLE}: expected ${expected}, found ${found}; correct it, or unset it to train in one process`,
  );
}
