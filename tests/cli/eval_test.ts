import assert from "node:assert/strict";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import {
  checkIds,
  checkPadId,
  checkpointLosses,
  chosenModelConfig,
  loadModel,
} from "../../lib/cli/eval.ts";
import { mapTree, memory, mul, namedLeaves } from "../../lib/engine/mod.ts";
import { UserError } from "../../lib/errors.ts";
import { initModel, type ModelConfig, PAPER_MODELS } from "../../lib/models/mod.ts";
import { createRandom } from "../../lib/random.ts";
import { importReference } from "../../lib/train/reference_names.ts";
import { formatSafetensors } from "../../lib/train/safetensors.ts";
import { storeTree } from "../../lib/train/weights.ts";
import { onEveryBackend } from "../_backends.ts";
import { assertClose, read } from "../_numbers.ts";
import { withFiles } from "../text/_temporary.ts";
import { loadReferenceGolden } from "../train/_reference_golden.ts";

const root = fileURLToPath(new URL("../..", import.meta.url));

/** Runs the task as a user does, with the permissions that it has. */
async function runEval(
  ...options: readonly string[]
): Promise<{ code: number; stdout: string; stderr: string }> {
  const { code, stdout, stderr } = await new Deno.Command(Deno.execPath(), {
    args: ["task", "--quiet", "eval", "--", ...options],
    cwd: root,
    env: { NO_COLOR: "1" },
    stdin: "null",
  }).output();
  const decode = (bytes: Uint8Array) => new TextDecoder().decode(bytes);
  return { code, stdout: decode(stdout), stderr: decode(stderr) };
}

const golden = loadReferenceGolden("llama_eem");
const files = {
  "model.json": JSON.stringify(golden.config),
  "ids.json": JSON.stringify(golden.ids),
};

Deno.test("deno task eval prints the losses of a reference checkpoint as JSON alone", () =>
  withFiles(files, async (folder) => {
    const { code, stdout, stderr } = await runEval(
      ...["--weights", golden.weightsPath, "--names", "reference"],
      ...["--model", join(folder, "model.json"), "--ids", join(folder, "ids.json")],
      ...["--pad-id", `${golden.padId}`, "--backend", "wasm", "--json"],
    );
    assert.equal(code, 0, stderr);
    assert.match(stderr, /^not used: decoder\.embed_tokens\.weight, /m);
    const losses = JSON.parse(stdout);
    assert.deepEqual(Object.keys(losses), ["lossNats", "scoredTokens", "tokenLossNats"]);
    assert.equal(losses.scoredTokens, golden.scoredTokens);
    assertClose([losses.lossNats], [golden.lossNats], 1e-6, "mean loss");
    golden.tokenLossNats.forEach((expected, row) => {
      const found: (number | null)[] = losses.tokenLossNats[row];
      const isPad = (loss: number | null) => loss === null;
      assert.deepEqual(found.map(isPad), expected.map(isPad));
      const numbers = (losses: readonly (number | null)[]) => losses.map((loss) => loss ?? 0);
      assertClose(numbers(found), numbers(expected), 3e-6, `losses of row ${row}`);
    });
  }));

// Nine rows are more than a batch, so that the last batch has to be filled up.
onEveryBackend("deno task eval takes a run's weights and shows the mean of every row", () => {
  const { config } = golden;
  const example = initModel(config, createRandom(1));
  const { tensors } = importReference(config, example, golden.tensors, "golden");
  const run = {
    "config.json": JSON.stringify({ spec: { training: { model: config } } }),
    "model.safetensors": formatSafetensors({ tensors, metadata: {} }),
    "ids.json": JSON.stringify([...golden.ids, ...golden.ids, ...golden.ids]),
  };
  return withFiles(run, async (folder) => {
    const { code, stdout, stderr } = await runEval(
      ...["--weights", join(folder, "model.safetensors"), "--ids", join(folder, "ids.json")],
      ...["--pad-id", `${golden.padId}`, "--backend", "wasm"],
    );
    assert.equal(code, 0, stderr);
    const rows = golden.tokenLossNats.map((row) => row.filter((loss) => loss !== null));
    const line = (what: string, losses: readonly number[]) => {
      const mean = losses.reduce((total, loss) => total + loss, 0) / losses.length;
      return `${what}: ${mean.toFixed(4)} nats/token, ${losses.length} tokens scored`;
    };
    const all = [...rows, ...rows, ...rows];
    assert.deepEqual(stdout.trimEnd().split("\n"), [
      ...all.map((losses, row) => line(`row ${row}`, losses)),
      line("all", all.flat()),
    ]);
  });
}, { only: ["cpu"] });

Deno.test("deno task eval ends with 2 for a missing option and with 1 for a bad file", () =>
  withFiles({ ...files, "broken.json": "[[1," }, async (folder) => {
    const weights = ["--weights", golden.weightsPath];
    const ids = ["--ids", join(folder, "ids.json")];
    const model = ["--model", join(folder, "model.json")];
    const cases: readonly (readonly [options: string[], code: number, line: RegExp])[] = [
      [[...model, ...ids], 2, /^error: --weights is missing/],
      [[...weights, ...model], 2, /^error: --ids is missing/],
      [[...weights, ...ids], 2, /^error: --model is missing, and .* no .*config\.json /],
      [
        [...weights, ...model, "--ids", join(folder, "none.json")],
        1,
        /none\.json: expected a file/,
      ],
      [
        [...weights, ...model, "--ids", join(folder, "broken.json")],
        1,
        /broken\.json: expected JSON/,
      ],
      [[...weights, ...ids, "--model", join(folder, "ids.json")], 1, /ids\.json: a model config/],
      [
        [...weights, ...ids, "--model", "eem-x"],
        1,
        /^error: --model eem-x: .* did you mean eem-t\?/,
      ],
      [
        [...weights, ...ids, ...model, "--pad-id", "11"],
        1,
        /^error: --pad-id: .*0 to 10, found 11/,
      ],
    ];
    await Promise.all(cases.map(async ([options, expected, line]) => {
      const { code, stdout, stderr } = await runEval(...options, "--json");
      assert.equal(code, expected, stderr);
      assert.equal(stdout, "");
      // Deno says so where another process of it starts at the same time.
      const said = stderr.replaceAll(/^.*Blocking waiting for file lock.*\n/gm, "");
      assert.match(said, line);
      assert.equal(said.trimEnd().split("\n").length, 1, stderr);
    }));
  }));

Deno.test("chosenModelConfig() takes a file, then the name of a model of the paper", () =>
  withFiles({ "eem-t": JSON.stringify(golden.config) }, async (folder) => {
    assert.deepEqual(await chosenModelConfig(join(folder, "eem-t")), golden.config);
    assert.deepEqual(await chosenModelConfig("eem-t"), PAPER_MODELS["eem-t"]!.config);
    await assert.rejects(
      () => chosenModelConfig("toString"),
      (error: Error) =>
        error instanceof UserError && error.message ===
          "--model toString: expected a configuration file or the name of a model of the paper, " +
            "found neither; some names: clm-transformer-512, ae-mixer-1024, eem-t, " +
            "eem-m-embedding (lib/models/paper_models.ts)",
    );
    // What is said must be so.
    for (const name of ["clm-transformer-512", "ae-mixer-1024", "eem-m-embedding"]) {
      assert.deepEqual(await chosenModelConfig(name), PAPER_MODELS[name]!.config);
    }
  }));

Deno.test("deno task eval refuses a model that learned a number per token, by name too", async () => {
  const ids = ["--ids", "no_such_ids.json"];
  const { code, stderr } = await runEval("--weights", "none", "--model", "2eem-t", ...ids);
  assert.equal(code, 1);
  assert.match(
    stderr,
    /^error: expected a model that predicts tokens, found a second-order one, which learned a /m,
  );
});

Deno.test("checkPadId() takes an id of the vocabulary or none", () => {
  const { config } = golden;
  assert.deepEqual([null, 0, 10].map((id) => checkPadId(id, config)), [null, 0, 10]);
  assert.throws(
    () => checkPadId(11, config),
    (error: Error) =>
      error instanceof UserError &&
      error.message === "--pad-id: expected an id from 0 to 10, found 11",
  );
});

Deno.test("checkIds() takes rows of the model's context", () => {
  const { config, ids } = golden;
  const { contextLength, count, ids: flat } = checkIds(ids, "ids.json", config);
  assert.deepEqual([contextLength, count], [6, 3]);
  assert.deepEqual([...flat], ids.flat());
});

for (
  const [what, value, message] of [
    [
      "no array",
      { ids: [] },
      'ids.json: expected an array of arrays of token ids, found {"ids":[]}',
    ],
    ["no rows", [], "ids.json: expected an array of arrays of token ids, found an empty array"],
    [
      "a row that is no array",
      [[2, 3, 4, 5, 6, 7], 8],
      "ids.json[1]: expected 6 token ids, the model's context, found 8",
    ],
    [
      "a row of another length",
      [[2, 3, 4, 5, 6, 7], [2, 3, 4, 5, 6]],
      "ids.json[1]: expected 6 token ids, the model's context, found 5 of them",
    ],
    [
      "an id beyond the vocabulary",
      [[2, 3, 11, 5, 6, 7]],
      "ids.json[0][2]: expected an id from 0 to 10, found 11",
    ],
    [
      "an id below zero",
      [[-1, 3, 4, 5, 6, 7]],
      "ids.json[0][0]: expected an id from 0 to 10, found -1",
    ],
    [
      "half an id",
      [[2, 3, 4, 5, 6, 0.5]],
      "ids.json[0][5]: expected an id from 0 to 10, found 0.5",
    ],
    [
      "an id in quotes",
      [[2, "3", 4, 5, 6, 7]],
      'ids.json[0][1]: expected an id from 0 to 10, found "3"',
    ],
  ] as const
) {
  Deno.test(`checkIds() refuses ${what}`, () => {
    assert.throws(
      () => checkIds(value, "ids.json", golden.config),
      (error: Error) => {
        assert.ok(error instanceof UserError, String(error));
        assert.equal(error.message, message);
        return true;
      },
    );
  });
}

onEveryBackend("loadModel() takes the tensors of the model, all and no other", async () => {
  const config: ModelConfig = {
    kind: "causal",
    backbone: {
      architecture: "mixer",
      vocabSize: 7,
      contextLength: 3,
      width: 4,
      layerCount: 1,
    },
  };
  const stored = await storeTree(initModel(config, createRandom(1)));
  const loaded = loadModel(config, stored, "own", "model.safetensors");
  for (const { name, tensor } of namedLeaves(loaded)) {
    assert.deepEqual(await read(tensor), stored.get(name)!.data);
  }
  const before = memory().numTensors;
  const more = new Map(stored).set("down.bias", { shape: [1], data: Float32Array.of(1) });
  assert.throws(
    () => loadModel(config, more, "own", "model.safetensors"),
    (error: Error) =>
      error instanceof UserError && error.message ===
        "model.safetensors: expected the tensors of the configured model, found also down.bias; " +
          "does the model's configuration fit?",
  );
  assert.equal(memory().numTensors, before, "the tensors made before the error are freed");
}, { only: ["cpu"] });

onEveryBackend(
  "loadModel() says whose names a file has, if not those that were asked for",
  async () => {
    const { config, tensors } = golden;
    const own = await storeTree(initModel(config, createRandom(1)));
    const message = (stored: typeof tensors, names: "own" | "reference") => {
      try {
        loadModel(config, stored, names, "w.safetensors");
      } catch (error) {
        assert.ok(error instanceof UserError, String(error));
        return error.message;
      }
      assert.fail("expected an error");
    };
    assert.match(message(tensors, "own"), / \(the names in it ask for --names reference\)$/);
    assert.match(message(own, "reference"), / \(the names in it ask for --names own\)$/);
    // Another error of the right names, and a file of neither.
    const without = (stored: typeof tensors, gone: RegExp) =>
      new Map([...stored].filter(([name]) => !gone.test(name)));
    assert.doesNotMatch(message(without(tensors, /^down/), "reference"), /--names/);
    assert.doesNotMatch(message(without(own, /^down/), "own"), /--names/);
    assert.doesNotMatch(message(without(own, /head/), "reference"), /--names/);
  },
  { only: ["cpu"] },
);

onEveryBackend("checkpointLosses() refuses losses that say nothing", async () => {
  const { config, tensors, ids } = loadReferenceGolden("mixer_clm_kernel_3");
  const params = loadModel(config, tensors, "reference", "golden");
  const rows = checkIds(ids, "ids.json", config);
  await assert.rejects(
    () => checkpointLosses(config, params, { ...rows, ids: rows.ids.map(() => 1) }, 1),
    (error: Error) =>
      error instanceof UserError && /nothing but pads; check --pad-id/.test(error.message),
  );
  const broken = mapTree(params, (leaf, name) => name === "head.weight" ? mul(leaf, NaN) : leaf);
  await assert.rejects(
    () => checkpointLosses(config, broken, rows, null),
    (error: Error) => error instanceof UserError && /finite loss, found NaN/.test(error.message),
  );
}, { only: ["cpu"] });
