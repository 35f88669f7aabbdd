/** This library as a contestant, see _contestant.ts: `_ours.ts WORK`, compiler included. */

import {
  type BackendName,
  type Compiler,
  disposeTree,
  initEngine,
  type MatmulPrecision,
} from "../../lib/engine/mod.ts";
import { timedEvaluator, timedTrainer } from "../../lib/measure/mod.ts";
import { initModel, type Model, sampleLength } from "../../lib/models/mod.ts";
import { createRandom } from "../../lib/random.ts";
import { parseSafetensors, restoreTree } from "../../lib/train/mod.ts";
import type { Work } from "./_contestant.ts";
import { linesOf } from "./_lines.ts";
import { peakBytes } from "./_measure.ts";

function load({ model, weights }: OurWork): Model {
  const { tensors } = parseSafetensors(Deno.readFileSync(weights), weights);
  const example = initModel(model, createRandom(0));
  const params = restoreTree(example, tensors, weights);
  disposeTree(example);
  return params;
}

type OurWork = Work & {
  compiler?: Compiler;
  backend?: BackendName;
  matmulPrecision?: MatmulPrecision;
};

function say(message: unknown): void {
  Deno.stdout.writeSync(new TextEncoder().encode(`${JSON.stringify(message)}\n`));
}

const work: OurWork = JSON.parse(Deno.args[0]!);
const { threads, backend, compiler, matmulPrecision, learningRate, noiseWidth } = work;
await initEngine(
  backend === undefined || backend === "tensorflow"
    ? { threads, backend, matmulPrecision, log: () => {} }
    : { backend, log: () => {} },
);
const all = new Int32Array(Deno.readFileSync(work.batches).buffer);
const tokens = work.batch * sampleLength(work.model);
const qat = noiseWidth === undefined
  ? undefined
  : { method: "noise", at: "embedding", width: noiseWidth } as const;
const step = work.task === "evaluation"
  ? timedEvaluator(work.model, load(work), work.batch)
  : timedTrainer(work.model, load(work), { learningRate, compiler, qat }).step;
let taken = 0;

async function timed(): Promise<{ ms: number; loss: number }> {
  const at = taken++ * tokens % all.length;
  const start = performance.now();
  const loss = await step(all.subarray(at, at + tokens));
  return { ms: performance.now() - start, loss };
}

const first = await timed();
say({ ready: true, firstStepMs: first.ms, firstLoss: first.loss });
for await (const line of linesOf(Deno.stdin.readable)) {
  const request: { steps: number } | { end: true } = JSON.parse(line);
  if ("end" in request) {
    say({ peakBytes: peakBytes() });
    break;
  }
  const steps: Awaited<ReturnType<typeof timed>>[] = [];
  for (let step = 0; step < request.steps; step++) steps.push(await timed());
  say({ ms: steps.map(({ ms }) => ms), losses: steps.map(({ loss }) => loss) });
}
Deno.exit(0);
