/**
 * A worker that trains cases of _parallel_cases.ts with the others and prints their records, a case
 * a line; without names of cases, a run of which the last worker begins with another parameter.
 */

import {
  clusterFromEnvironment,
  joinWorkers,
  leavesOf,
  mapTree,
  tensor,
} from "../../lib/engine/mod.ts";
import { initTrainState } from "../../lib/train/mod.ts";
import { refusalOf } from "../_refusal.ts";
import { CASES, recordsOf, XLA_CASES } from "./_parallel_cases.ts";

const workers = await joinWorkers(clusterFromEnvironment()!, { log: () => {} });
if (Deno.args.length === 0) {
  const refused = await refusalOf(recordsOf(CASES["mixer CLM"]!, workers, (session) => {
    if (workers.index !== workers.count - 1) return;
    const [first] = leavesOf(session.state.params);
    const values = first!.dataSync().slice();
    new Int32Array(values.buffer)[3]! ^= 1; // one bit of one number
    const changed = tensor(values, first!.shape);
    const params = mapTree(session.state.params, (leaf) => leaf === first ? changed : leaf);
    session.state = initTrainState(params);
  }));
  console.log(JSON.stringify(refused));
} else {
  const all = { ...CASES, ...XLA_CASES };
  for (const name of Deno.args) console.log(JSON.stringify(await recordsOf(all[name]!, workers)));
}
Deno.exit(0); // TensorFlow's server never ends by itself
