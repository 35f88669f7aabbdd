/** A worker that sums tensors with the others and prints what it got, as JSON. */

import { clusterFromEnvironment, joinWorkers, tensor } from "../../lib/engine/mod.ts";
import { refusalOf } from "../_refusal.ts";

const workers = await joinWorkers(clusterFromEnvironment()!, { log: () => {} });
const { index, count } = workers;

/** Whole numbers, whose sums are exact, different for each worker. */
const numbers = Array.from({ length: 1000 }, (_, i) => (index + 1) * (i % 97));
const given = [tensor(numbers), tensor([[index], [1]]), tensor([1, index], [2], "int32")];
const sums = [];
for (let repetition = 0; repetition < 3; repetition++) {
  sums.push((await workers.allReduceSum(given)).map((sum) => [sum.shape, [...sum.dataSync()]]));
}
const texts = await workers.exchange(`of ${index} → "ü"\n`);
const empty = await workers.exchange("");
await workers.meet();
// One tells all why they cannot go on; the others are in the middle of a sum.
const refused = await refusalOf(
  index === count - 1
    ? workers.refuse("these do not belong together")
    : workers.allReduceSum([tensor([1])]),
);
console.log(JSON.stringify({ index, sums, texts, empty, refused }));
Deno.exit(0); // TensorFlow's server never ends by itself
