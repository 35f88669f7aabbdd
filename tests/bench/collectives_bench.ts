/**
 * Several workers on this machine: time in reduction and in the rest of a step, bytes of a step, and
 * what is left of one process's speed. All workers share this machine's processors, so that an
 * efficiency of 1 means that the division costs nothing; their messages do not leave it.
 *
 * Then a model of larger clusters. A ring of W workers that reduces S bytes takes
 *
 *   2 (W − 1) latency + 2 (W − 1) / W · S / bandwidth
 *
 * behind a computation that takes 1/W of one accelerator's time, since both do not overlap here. It
 * assumes the paper's batch whatever W, accelerators that do 100 TFLOP/s in models of any
 * size, links that reach nine tenths of their rate, and the latency measured here
 * for the smallest tensor. The row "as here" takes the bandwidth measured on this machine, which
 * processors limit and not the link.
 */

import { notebookSpecs } from "../../lib/experiments/mod.ts";
import { countElements, disposeTree, initEngine } from "../../lib/engine/mod.ts";
import { initModel, multiplyAdds, parameterCount } from "../../lib/models/mod.ts";
import { createRandom } from "../../lib/random.ts";
import { runWorkers } from "../_workers.ts";
import { BATCH, MODELS, REDUCED } from "./_collectives_models.ts";
import { runProgram } from "./_program.ts";

type Timed = Readonly<{
  reductions: readonly number[];
  steps: Readonly<Record<string, { step: number; reduction: number }>>;
}>;

const COUNTS = [1, 2, 4];
/** Of one accelerator, in the model of larger clusters. */
const TFLOPS = 100;
const program = new URL("./_collectives_worker.ts", import.meta.url);
const cores = navigator.hardwareConcurrency;

async function measure(count: number): Promise<Timed> {
  const threads = Math.max(1, Math.floor(cores / count));
  const ended = await runWorkers(program, count, [], { threads });
  const failed = ended.find(({ code }) => code !== 0);
  if (failed !== undefined) throw new Error(failed.stderr);
  return JSON.parse(ended[0]!.stdout);
}

/** Prints its tables; nothing of it is in the benchmarks' document. */
async function measureAll(): Promise<[]> {
  const measured = new Map<number, Timed>();
  for (const count of COUNTS) measured.set(count, await measure(count));

  console.log(
    `a batch of ${BATCH} windows of 128 tokens, d 128, 4 layers, vocabulary 4096; ${cores} processors`,
  );
  console.log(
    "model             workers  step ms  reduction ms  the rest ms  MB a step  efficiency",
  );
  await initEngine({ backend: "tensorflow", log: () => {} });
  for (const [name, config] of Object.entries(MODELS)) {
    const model = initModel(config, createRandom(1));
    const bytes = 4 * countElements(model);
    disposeTree(model);
    const alone = measured.get(1)!.steps[name]!.step;
    for (const count of COUNTS) {
      const { step, reduction } = measured.get(count)!.steps[name]!;
      // What each worker sends in a ring, and receives too.
      const sent = count === 1 ? 0 : 2 * (count - 1) / count * bytes / 1e6;
      console.log(
        name.padEnd(18) + `${count}`.padStart(7) + step.toFixed(1).padStart(9) +
          reduction.toFixed(1).padStart(14) + (step - reduction).toFixed(1).padStart(13) +
          sent.toFixed(1).padStart(11) + (alone / step).toFixed(2).padStart(12),
      );
    }
  }

  console.log("\nreduction alone, ms (GB/s that a worker sends)");
  console.log(`workers${REDUCED.map((size) => bytesOf(4 * size).padStart(16)).join("")}`);
  for (const count of COUNTS.slice(1)) {
    const { reductions } = measured.get(count)!;
    const cells = reductions.map((ms, at) =>
      `${ms.toFixed(1)} (${rateOf(count, at, ms).toFixed(2)})`
    );
    console.log(`${count}`.padStart(7) + cells.map((cell) => cell.padStart(16)).join(""));
  }

  const two = measured.get(2)!.reductions;
  const latency = two[0]! / 1000 / 2; // seconds; a ring of two has two legs
  const here = 1e9 * rateOf(2, REDUCED.length - 1, two.at(-1)!);
  console.log(
    `\nmodel: preset paper of notebook 01, accelerators of ${TFLOPS} TFLOP/s, latency ${
      (1e3 * latency).toFixed(2)
    } ms, efficiency by bandwidth`,
  );
  const links = [["10 Gbit/s", 0.9 * 10e9 / 8], ["100 Gbit/s", 0.9 * 100e9 / 8], [
    "as here",
    here,
  ]] as const;
  console.log(
    "run".padEnd(44) + "workers".padStart(8) + "compute ms".padStart(12) +
      links.map(([name]) => name.padStart(12)).join(""),
  );
  const seen = new Set<string>();
  for (const { arm, family, training } of notebookSpecs("01", "paper")) {
    const title = `${family} ${arm}`;
    if (seen.has(title)) continue;
    seen.add(title);
    const { model, batchSize } = training;
    // Two operations a multiply-add; the backward pass takes twice the forward one's.
    const alone = 6 * multiplyAdds(model) * batchSize / (1e12 * TFLOPS);
    for (const count of [8, 64]) {
      const compute = alone / count;
      const efficiencies = links.map(([, bandwidth]) => {
        const bytes = 4 * parameterCount(model);
        const reduction = 2 * (count - 1) * (latency + bytes / count / bandwidth);
        return (compute / (compute + reduction)).toFixed(2).padStart(12);
      });
      console.log(
        title.slice(0, 43).padEnd(44) + `${count}`.padStart(8) +
          (1000 * compute).toFixed(1).padStart(12) + efficiencies.join(""),
      );
    }
  }
  return [];
}

/** GB/s that a worker sends while a tensor of REDUCED is summed. */
function rateOf(count: number, at: number, milliseconds: number): number {
  return 2 * (count - 1) / count * 4 * REDUCED[at]! / 1e6 / milliseconds;
}

function bytesOf(bytes: number): string {
  return bytes < 1e6 ? `${(bytes / 1e3).toFixed(1)} kB` : `${(bytes / 1e6).toFixed(0)} MB`;
}

await runProgram(measureAll);
