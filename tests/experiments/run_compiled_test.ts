/** Of `run.ts`, what only TensorFlow has: compiled functions, which must be freed and must fit. */

import assert from "node:assert/strict";
import { activeTensorFlow } from "../../lib/engine/_tensorflow.ts";
import { engineStatus, initEngine, memory } from "../../lib/engine/mod.ts";
import { runAll, type RunProgress } from "../../lib/experiments/mod.ts";
import { withFiles } from "../text/_temporary.ts";
import { tinyCorpus, tinySpec } from "./_tiny.ts";
import { optionsIn } from "./_tiny_runs.ts";

await initEngine({ log: () => {} });
const isTensorFlow = engineStatus()!.backend === "tensorflow";

/** The compiled functions that exist, by name, from now on. */
function watchFunctions(): Set<string> {
  const { binding } = activeTensorFlow()!;
  const { finishTrace, deleteFunction } = binding;
  const existing = new Set<string>();
  binding.finishTrace = (...inputs) => {
    const traced = finishTrace.apply(binding, inputs);
    existing.add(traced.name);
    return traced;
  };
  binding.deleteFunction = (traced) => {
    deleteFunction.call(binding, traced);
    existing.delete(traced.name);
  };
  return existing;
}

Deno.test({
  name: "runAll() frees compiled functions, of a run that fails too" +
    (isTensorFlow ? "" : " [NOT RUN: TensorFlow is absent here]"),
  ignore: !isTensorFlow,
  fn: () =>
    withFiles(tinyCorpus(), async (folder) => {
      const existing = watchFunctions();
      const options = optionsIn(folder);
      const tensorsBefore = memory().numTensors;
      const specs = [tinySpec(folder, "clm"), tinySpec(folder, "zeros")];
      let most = 0;
      // The second run fails once its step and its evaluation are compiled.
      const onProgress = ({ spec, record }: RunProgress) => {
        most = Math.max(most, existing.size);
        if (spec === specs[1] && record.type === "evaluation") throw new Error("fails");
      };
      await assert.rejects(runAll(specs, { ...options, onProgress }), /fails/);
      assert.equal(most, 2, "step and evaluation of one model at a time");
      assert.deepEqual([...existing], []);
      assert.equal(memory().numTensors, tensorsBefore);
    }),
});

Deno.test("runAll() compiles a model anew for a frozen encoder", () =>
  withFiles(tinyCorpus(), async (folder) => {
    const spec = tinySpec(folder, "eem");
    const runs = await runAll([spec, { ...spec, frozenEncoder: spec }], optionsIn(folder));
    assert.deepEqual(runs.map((run) => run.records.at(-1)!.type), ["end", "end"]);
  }));
