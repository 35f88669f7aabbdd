/** The workers of a Slurm job step, by the variables that `srun` sets for each task. */

import { UserError } from "../errors.ts";
import type { Cluster } from "./_cluster_protos.ts";

/** Steps of one job, and jobs that share a node, get ports of their own most of the time. */
const FIRST_PORT = 20_000;
const PORTS = 10_000;

/**
 * The workers of the job step that this process is a task of, or null outside of one. Tasks are
 * numbered node by node, as Slurm's block distribution, its default, does.
 *
 * @throws UserError when the variables do not fit each other.
 */
export function slurmCluster(
  environment: Readonly<Record<string, string | undefined>>,
): Cluster | null {
  const {
    SLURM_STEP_NUM_TASKS: tasks,
    SLURM_STEP_NODELIST: nodes,
    SLURM_STEP_TASKS_PER_NODE: perNode,
    SLURM_PROCID: place,
    SLURM_JOB_ID: job = "0",
    SLURM_STEP_ID: step = "0",
  } = environment;
  if (tasks === undefined || nodes === undefined || perNode === undefined || place === undefined) {
    return null;
  }
  const hosts = expandNodes(nodes);
  const counts = expandCounts(perNode);
  const total = counts.reduce((sum, count) => sum + count, 0);
  const index = Number(place);
  if (hosts.length !== counts.length || total !== Number(tasks) || !(index < total)) {
    throw new UserError(
      `Slurm: expected task ${place} to be one of ${tasks} on ${nodes}, ${perNode} a node, found ` +
        `${total} on ${hosts.length} nodes; set TF_CONFIG yourself`,
    );
  }
  const first = FIRST_PORT + (97 * Number(job) + 31 * Number(step)) % PORTS;
  const addresses = hosts.flatMap((host, node) =>
    Array.from({ length: counts[node]! }, (_, local) => `${host}:${first + local}`)
  );
  return { addresses, index };
}

/** `a[1-3,07],b` as Slurm abbreviates lists of nodes: a1, a2, a3, a07, b. */
export function expandNodes(list: string): string[] {
  return [...list.matchAll(/([^,[\]]+)(?:\[([^\]]*)\])?([^,[\]]*)/g)].flatMap(
    ([, prefix, ranges, suffix]) => {
      if (ranges === undefined) return [`${prefix}${suffix}`];
      return ranges.split(",").flatMap((range) => {
        const [from, to = from] = range.split("-") as [string, string?];
        const width = from.length;
        return Array.from(
          { length: Number(to) - Number(from) + 1 },
          (_, i) => `${prefix}${String(Number(from) + i).padStart(width, "0")}${suffix}`,
        );
      });
    },
  );
}

/** `2(x3),1`: 2, 2, 2, 1. */
function expandCounts(list: string): number[] {
  return list.split(",").flatMap((part) => {
    const [, count, times = "1"] = /^(\d+)(?:\(x(\d+)\))?$/.exec(part) ?? [];
    return Array.from({ length: Number(times) }, () => Number(count));
  });
}
