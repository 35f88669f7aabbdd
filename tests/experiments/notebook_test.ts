import assert from "node:assert/strict";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { engineStatus, initEngine } from "../../lib/engine/mod.ts";
import { UserError } from "../../lib/errors.ts";
import {
  claimContext,
  describeSources,
  notebookParameters,
  onProjectText,
  PROJECT_FOLDERS,
  projectData,
  recordClaims,
  showProgress,
  stepShare,
} from "../../lib/experiments/notebook.ts";
import { PRESETS } from "../../lib/experiments/presets.ts";
import type { RunProgress, RunResult } from "../../lib/experiments/run.ts";
import type { LiveProgress, ProgressState } from "../../lib/figures/mod.ts";
import { tinySpec } from "./_tiny.ts";

/** Runs `use` with environment variables as given (undefined: absent), then restores them. */
function withEnvironment(
  values: Readonly<Record<string, string | undefined>>,
  use: () => void,
): void {
  const set = (name: string, value: string | undefined) =>
    value === undefined ? Deno.env.delete(name) : Deno.env.set(name, value);
  const before = Object.keys(values).map((name) => [name, Deno.env.get(name)] as const);
  try {
    for (const [name, value] of Object.entries(values)) set(name, value);
    use();
  } finally {
    for (const [name, value] of before) set(name, value);
  }
}

Deno.test("notebookParameters() takes the environment before the notebook, that before defaults", () => {
  const cases = [
    [undefined, undefined, {}, "quick", false],
    ["", "", {}, "quick", false],
    [undefined, undefined, { preset: "paper", fresh: true }, "paper", true],
    ["", "", { preset: "paper", fresh: true }, "paper", true],
    ["small", undefined, { preset: "paper" }, "small", false],
    [undefined, "1", { preset: "paper" }, "paper", true],
    [undefined, "true", {}, "quick", true],
    [undefined, "0", { fresh: true }, "quick", false],
    [undefined, "false", { fresh: true }, "quick", false],
  ] as const;
  for (const [KYL_PRESET, KYL_FRESH, given, preset, fresh] of cases) {
    withEnvironment({ KYL_PRESET, KYL_FRESH }, () => {
      assert.deepEqual(notebookParameters(given), { preset, fresh });
    });
  }
});

Deno.test("notebookParameters() takes a text in the place of the presets' from the environment", () => {
  const cases = [
    [undefined, undefined, {}],
    ["", "", {}],
    ["", "5", {}],
    ["finemath", "", { text: { corpus: "finemath" } }],
    ["/my/texts", "1000", { text: { corpus: "/my/texts", limit: 1000 } }],
  ] as const;
  const { data } = tinySpec("", "clm");
  for (const [KYL_CORPUS, KYL_LIMIT, found] of cases) {
    withEnvironment({ KYL_CORPUS, KYL_LIMIT }, () => {
      assert.deepEqual(notebookParameters(), { preset: "quick", fresh: false, ...found });
      assert.deepEqual(onProjectText(data), { ...data, ...("text" in found && found.text) });
    });
  }
});

Deno.test("projectData() is the project's cache and the Hub of the environment", () => {
  withEnvironment({ HF_ENDPOINT: "", HF_TOKEN: undefined }, () => {
    const hub = { endpoint: "https://huggingface.co" };
    assert.deepEqual(projectData(), { cacheFolder: PROJECT_FOLDERS.cache, hub });
  });
  withEnvironment({ HF_ENDPOINT: "http://127.0.0.1:8000", HF_TOKEN: " secret\n" }, () => {
    const hub = { endpoint: "http://127.0.0.1:8000", token: "secret" };
    assert.deepEqual(projectData().hub, hub);
  });
  withEnvironment({ HF_ENDPOINT: "not an address", HF_TOKEN: undefined }, () => {
    assert.throws(() => projectData(), /^UserError: HF_ENDPOINT: expected an address/);
  });
});

Deno.test("notebookParameters() refuses a preset that is none, wherever it comes from", () => {
  const refuses = (error: unknown) =>
    error instanceof UserError &&
    error.message === 'unknown preset "huge"; expected one of quick, small, paper';
  withEnvironment({ KYL_PRESET: "huge", KYL_FRESH: undefined }, () => {
    assert.throws(() => notebookParameters({ preset: "small" }), refuses);
  });
  withEnvironment({ KYL_PRESET: undefined, KYL_FRESH: undefined }, () => {
    assert.throws(() => notebookParameters({ preset: "huge" as "quick" }), refuses);
  });
});

Deno.test("PROJECT_FOLDERS lie in the project, wherever the notebook runs", () => {
  const root = fileURLToPath(new URL("../..", import.meta.url));
  assert.deepEqual(
    Object.fromEntries(Object.entries(PROJECT_FOLDERS).map(([name, path]) => [name, join(path)])),
    {
      runs: join(root, "runs"),
      published: join(root, "data", "runs"),
      cache: join(root, ".cache"),
      results: join(root, "out", "results"),
      bench: join(root, "data", "bench"),
    },
  );
});

Deno.test("stepShare() wants a running engine, whatever the preset", () => {
  assert.equal(engineStatus(), null, "no test before this one may start the engine");
  for (const preset of PRESETS) {
    assert.throws(
      () => stepShare({ preset, fresh: false }, () => {}),
      /^Error: initEngine\(\) must be called before stepShare\(\)$/,
    );
  }
});

Deno.test("stepShare() shortens preset quick on slow backends only, and says so", async () => {
  await initEngine({ backend: "cpu", log: () => {} });
  const lines: string[] = [];
  const share = (preset: (typeof PRESETS)[number]) =>
    stepShare({ preset, fresh: false }, (line: string) => lines.push(line));
  assert.deepEqual(PRESETS.map(share), [1 / 20, 1, 1]);
  assert.deepEqual(lines, ["cpu is slow: preset quick trains a twentieth of its steps here"]);
});

Deno.test({
  name: "stepShare() leaves preset quick whole on TensorFlow",
  fn: async () => {
    const notebook = new URL("../../lib/experiments/notebook.ts", import.meta.url).href;
    const engine = new URL("../../lib/engine/mod.ts", import.meta.url).href;
    // Another process: one process has one engine, and the test above has chosen.
    const code = `
      import { initEngine } from ${JSON.stringify(engine)};
      import { stepShare } from ${JSON.stringify(notebook)};
      const { backend } = await initEngine({ log: () => {} });
      const lines = [];
      const share = stepShare({ preset: "quick", fresh: false }, (line) => lines.push(line));
      console.log(JSON.stringify({ backend, share, lines }));`;
    const { stdout, stderr } = await new Deno.Command(Deno.execPath(), {
      args: ["eval", "--no-check", code],
      env: { NO_COLOR: "1" },
    }).output();
    const text = new TextDecoder().decode(stdout);
    assert.notEqual(text, "", new TextDecoder().decode(stderr));
    const { backend, share, lines } = JSON.parse(text);
    const isFast = backend === "tensorflow" || backend === "webgpu";
    assert.deepEqual([share, lines.length], isFast ? [1, 0] : [1 / 20, 1]);
  },
});

Deno.test("claimContext() says preset, and every backend and commit of the runs", () => {
  const contextOf = (...runs: (readonly [backend: string, git: string])[]) =>
    claimContext(
      { preset: "small", fresh: false },
      runs.map(([backend, git]) => ({ config: { backend, git } }) as RunResult),
    );
  assert.deepEqual(contextOf(["wasm", "b"], ["wasm", "b"]), {
    preset: "small",
    backend: "wasm",
    git: "b",
  });
  assert.deepEqual(contextOf(["wasm", "b"], ["cpu", "a-dirty"], ["wasm", "b"]), {
    preset: "small",
    backend: "cpu, wasm",
    git: "a-dirty, b",
  });
});

Deno.test("recordClaims() refuses a name that is a path, before it writes", async () => {
  await assert.rejects(recordClaims("../elsewhere", []), UserError);
});

Deno.test("describeSources() counts where runs come from", () => {
  const sources = ["trained", "stored", "stored", "published", "published", "published"] as const;
  assert.equal(
    describeSources(sources.map((source) => ({ source }) as RunResult)),
    "6 runs: 1 trained now, 2 from runs/, 3 from data/runs/",
  );
});

Deno.test("showProgress() turns train records into states, with a rate from what it has seen", async () => {
  const states: ProgressState[] = [];
  const progress: LiveProgress = {
    update: (state) => Promise.resolve(void states.push(structuredClone(state))),
    finish: () => Promise.resolve(),
  };
  const show = showProgress(progress);
  const spec = tinySpec("folder", "clm");
  const update = (stepsDone: number, lossNats: number): RunProgress => ({
    spec,
    record: {
      type: "train",
      step: stepsDone,
      tokens: 1,
      lossNats,
      gradientNorm: 1,
      learningRate: 1,
      tokensPerSecond: 77,
    },
    stepsDone,
    steps: 100,
  });
  // A resumed run: steps made before it are no measure of its speed.
  await show(update(50, 3));
  assert.equal(states[0]!.etaSeconds, Infinity);
  await show({
    ...update(55, 3),
    record: { type: "evaluation", step: 55, tokens: 1, lossNats: 9, scoredTokens: 1 },
  });
  const start = performance.now();
  await new Promise((resolve) => setTimeout(resolve, 60));
  await show(update(60, 2));
  assert.equal(states.length, 2, "evaluations are no states");
  const { etaSeconds, curve, ...rest } = states[1]!;
  assert.deepEqual(rest, {
    step: 60,
    steps: 100,
    lossNats: 2,
    tokensPerSecond: 77,
    detail: "mixer clm, seed 3",
  });
  assert.deepEqual(curve, [{ x: 50, y: 3 }, { x: 60, y: 2 }]);
  // 10 steps in what has passed, 40 to come; the clock began a little before.
  const elapsed = (performance.now() - start) / 1000;
  assert.ok(etaSeconds > 4 * 0.055 && etaSeconds < 4 * elapsed + 1, `${etaSeconds}`);
});
