import assert from "node:assert/strict";
import { symlink } from "node:fs/promises";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { conditionsOf, costTable, plainLine, type RoundedLoss } from "../../lib/cli/quantize.ts";
import { loadRun, prepareData, runAll, type RunResult } from "../../lib/experiments/mod.ts";
import { type Condition, quantizedLosses } from "../../lib/measure/mod.ts";
import { moduleNames } from "../../lib/layers/mod.ts";
import { initEngine } from "../../lib/engine/mod.ts";
import { assertClose } from "../_numbers.ts";
import { models, storeTextRun } from "../experiments/_text_runs.ts";
import { tinyCorpus, tinySpec } from "../experiments/_tiny.ts";
import { optionsIn } from "../experiments/_tiny_runs.ts";
import { estimated } from "../entropy/_estimated.ts";
import { AUGMENTED } from "../models/_tiny.ts";
import { withFiles } from "../text/_temporary.ts";

await initEngine({ backend: "wasm", log: () => {} });

const root = fileURLToPath(new URL("../..", import.meta.url));

/** The task with runs of its own folder, as a user starts it. */
function quantizing(folder: string, argv: readonly string[]): Deno.Command {
  const permissions = ["read", "write", "env", "ffi", "sys"].map((name) => `--allow-${name}`);
  const task = join(folder, "lib", "cli", "quantize.ts");
  return new Deno.Command(Deno.execPath(), {
    args: [
      ...["run", "--no-check", ...permissions, `--config=${join(root, "deno.json")}`, task],
      ...["--backend", "wasm", ...argv],
    ],
    stdin: "null",
    stdout: "piped",
    stderr: "piped",
    env: { NO_COLOR: "1" },
  });
}

async function quantize(folder: string, ...argv: string[]) {
  const { code, stdout, stderr } = await quantizing(folder, argv).output();
  const decode = (bytes: Uint8Array) => new TextDecoder().decode(bytes);
  // Deno says so where another process of it starts at the same time.
  const said = decode(stderr).replaceAll(/^.*Blocking waiting for file lock.*\n/gm, "");
  return { code, stdout: decode(stdout), stderr: said };
}

/** A folder with a trained EEM on a tiny corpus and the task beside it. */
function withRun(use: (folder: string, run: RunResult) => Promise<void>): Promise<void> {
  return withFiles(tinyCorpus(), async (folder) => {
    // The command looks for runs beside its own lib: this one's is the temporary folder's.
    await symlink(join(root, "lib"), join(folder, "lib"));
    const [run] = await runAll([tinySpec(folder, "eem")], optionsIn(folder));
    await use(folder, run!);
  });
}

/** What the library gives under the same conditions. */
async function expectedLosses(
  folder: string,
  { config }: RunResult,
  conditions: readonly Condition[],
  heldOutWindows = 16,
): Promise<number[]> {
  const options = optionsIn(folder);
  const { training } = await prepareData({ ...config.spec.data, heldOutWindows }, options);
  const { model } = await loadRun(config.id, options.folders);
  const losses = quantizedLosses(model, training.heldOut, conditions, { batchSize: 8 });
  return (await Array.fromAsync(losses)).map(({ lossNats }) => lossNats);
}

Deno.test(
  "deno task quantize prints the plain loss and the cost of every module",
  () =>
    withRun(async (folder, run) => {
      const { id } = run.config;
      const evaluation = run.records.findLast((record) => record.type === "evaluation")!;
      const { code, stdout, stderr } = await quantize(
        folder,
        id,
        "--jsonl",
        "--format",
        "int8,e3m2",
      );
      assert.equal(code, 0, stderr);
      const [plain, ...records] = stdout.trimEnd().split("\n").map((line) => JSON.parse(line));
      const { lossNats, ...facts } = plain;
      const { scoredTokens } = evaluation;
      assert.deepEqual(facts, { run: id, windows: 16, scoredTokens });
      assertClose([lossNats], [evaluation.lossNats], 1e-5, "plain loss");

      const { model } = await loadRun(id, optionsIn(folder).folders);
      const conditions = ["int8/row", "e3m2"].flatMap((quantization) =>
        moduleNames(model.params).flatMap((name) =>
          ["output", "weight"].map((site) => ({ modules: [name], site, quantization }) as Condition)
        )
      );
      assert.deepEqual(
        records.map(({ modules, site, quantization }) => ({ modules, site, quantization })),
        conditions,
      );
      assertClose(
        records.map((record) => record.lossNats),
        await expectedLosses(folder, run, conditions),
        1e-4,
        "losses",
      );
      for (const record of records) {
        assert.equal(record.costNats, record.lossNats - lossNats);
        assert.equal(record.scoredTokens, scoredTokens);
      }
      assert.match(
        stderr,
        new RegExp(`^rounding, decoder\\.head weight e3m2 · .*${conditions.length}/`, "m"),
      );

      const few = await quantize(
        folder,
        join(folder, "runs", id),
        ...["--together", "--windows", "3", "--site", "product", "--format", "llm.int8"],
      );
      assert.equal(few.code, 0, few.stderr);
      const lines = few.stdout.trimEnd().split("\n");
      assert.match(
        lines[0]!,
        new RegExp(
          `^${id}: held-out loss \\d\\.\\d{4} nats/token, embedding not paid for \\(3 samples, 21 t`,
        ),
      );
      const [loss] = await expectedLosses(
        folder,
        run,
        [{ modules: "all", site: "product", quantization: "llm.int8" }],
        3,
      );
      assert.deepEqual(lines.slice(1, 3), [
        "",
        "module        site     format    loss, nats  cost, nats  cost, %",
      ]);
      const row = /^all together {2}product {2}llm\.int8 +(\d\.\d{4}) +-?\d\.\d{4} +-?\d+\.\d{2}$/;
      const [, found] = lines[4]!.match(row) ?? assert.fail(few.stdout);
      assertClose([Number(found)], [loss!], 1e-4, "loss of all products");
      assert.equal(lines.length, 5);
    }),
);

Deno.test(
  "deno task quantize says in one line what it cannot do",
  () =>
    withRun(async (folder, { config: { id } }) => {
      await storeTextRun(folder, "2eem-1", models["2eem"]());
      const cases: readonly (readonly [argv: string[], code: number, line: RegExp])[] = [
        [[], 2, /^error: RUN is missing: a run's folder or its id in runs\/ /],
        [["none-1"], 1, /^error: none-1: expected the folder or the id of a run, found none; /],
        [
          ["2eem-1"],
          1,
          /^error: 2eem-1: expected a model that predicts tokens, found a second-order /,
        ],
        [[id, "--format", "e4m3"], 1, /^error: quantization: expected fp16, .*, found "e4m3"$/],
        [[id, "--format", ","], 2, /^error: --format: expected one or more, found none /],
        [[id, "--modules", "upp"], 1, /^error: module upp: expected one of encoder\.embedding, /],
      ];
      await Promise.all(cases.map(async ([argv, expected, line]) => {
        const { code, stdout, stderr } = await quantize(folder, ...argv);
        assert.equal(code, expected, stderr);
        assert.equal(stdout, "");
        const said = stderr.trimEnd().split("\n").filter((line) => !line.startsWith("engine: "));
        assert.equal(said.length, 1, stderr);
        assert.match(said[0]!, line);
      }));
      const corpus = join(folder, "corpus.jsonl");
      await Deno.writeTextFile(
        corpus,
        (await Deno.readTextFile(corpus)).replaceAll("union", "onion"),
      );
      const { code, stderr } = await quantize(folder, id);
      assert.equal(code, 1);
      const last = stderr.trimEnd().split("\n").at(-1)!;
      assert.ok(
        last.startsWith(`error: ${corpus}: expected the text that ${id} was trained on`),
        last,
      );
    }),
);

Deno.test({
  name: "deno task quantize that gets Ctrl-C ends with 130 and shows what it has",
  ignore: Deno.build.os === "windows",
  fn: () =>
    withRun(async (folder, { config: { id } }) => {
      const bits = Array.from({ length: 15 }, (_, i) => `int${i + 2}`);
      const process = quantizing(folder, [id, "--format", bits.join(",")]).spawn();
      const output = new Response(process.stdout).text();
      let said = "";
      let sent = false;
      for await (const chunk of process.stderr.pipeThrough(new TextDecoderStream())) {
        said += chunk;
        if (sent || !said.includes("condition 1/")) continue;
        sent = true;
        process.kill("SIGINT");
      }
      const { code, signal } = await process.status;
      assert.equal(signal, null, "it ended by itself");
      assert.equal(code, 130, said);
      const last = said.trimEnd().split("\n").at(-1)!;
      const [, count, all] = last.match(/^stopped after (\d+) of (\d+) conditions$/) ??
        assert.fail(said);
      assert.ok(Number(count) > 0 && Number(count) < Number(all));
      assert.doesNotMatch(said, /error|\n\s+at /);
      assert.equal((await output).trimEnd().split("\n").length, 4 + Number(count));
    }),
});

Deno.test("costTable() has the dearest first, and losses that are none before them", () => {
  const loss = (name: string, lossNats: number): RoundedLoss => ({
    modules: [name],
    site: "weight",
    quantization: "nf4/row",
    lossNats,
    scoredTokens: 9,
    costNats: lossNats - 2,
  });
  const together: RoundedLoss = { ...loss("", Infinity), modules: "all", site: "output" };
  const pair: RoundedLoss = { ...loss("", 2.001), modules: ["down", "up"] };
  const losses = [
    loss("a", 1.99),
    loss("d", 1.99999),
    loss("b", 2.5),
    together,
    loss("c", NaN),
    pair,
  ];
  assert.deepEqual(costTable(losses).split("\n"), [
    "module        site    format   loss, nats  cost, nats  cost, %",
    "────────────  ──────  ───────  ──────────  ──────────  ───────",
    "all together  output  nf4/row    Infinity    Infinity      NaN",
    "c             weight  nf4/row         NaN         NaN      NaN",
    "b             weight  nf4/row      2.5000      0.5000    25.00",
    "down + up     weight  nf4/row      2.0010      0.0010     0.05",
    "d             weight  nf4/row      2.0000      0.0000     0.00",
    "a             weight  nf4/row      1.9900     -0.0100    -0.50",
  ]);
  assert.equal(losses[0]!.modules[0], "a", "the records stay in their order");
});

Deno.test("plainLine() says of an embedding that it is not paid for", () => {
  const facts = { embeddingSize: 0 } as RunResult["config"]["facts"];
  const plain = { lossNats: 2, scoredTokens: 21 };
  assert.equal(
    plainLine({ id: "clm-1", facts }, plain, 3),
    "clm-1: held-out loss 2.0000 nats/token (3 samples, 21 tokens scored)",
  );
  assert.match(
    plainLine({ id: "eem-1", facts: { ...facts, embeddingSize: 8 } }, plain, 3),
    /nats\/token, embedding not paid for \(/,
  );
});

Deno.test("conditionsOf() goes through formats, sites and modules", () => {
  const { params } = estimated(AUGMENTED["mixer EEM"]);
  const options = { formats: ["fp16", "nf4/row"], site: ["output", "product"] } as const;
  const together = conditionsOf(params, { ...options, modules: ["up", "down"], together: true });
  assert.deepEqual(
    together,
    options.formats.flatMap((quantization) =>
      options.site.map((site) => ({ modules: ["up", "down"], site, quantization }))
    ),
  );
  const each = conditionsOf(params, {
    ...options,
    modules: ["up", "encoder.embedding"],
    together: false,
  });
  assert.deepEqual(
    each.map(({ modules, site, quantization }) => `${modules} ${site} ${quantization}`),
    [
      "encoder.embedding output fp16",
      "up output fp16",
      "up product fp16",
      "encoder.embedding output nf4/row",
      "up output nf4/row",
      "up product nf4/row",
    ],
  );
});
