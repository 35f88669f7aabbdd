import assert from "node:assert/strict";
import { symlink } from "node:fs/promises";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { parseCommand, UsageError } from "../../lib/cli/_args.ts";
import { checkApplicable, modelConfig, trainCommand } from "../../lib/cli/train.ts";
import { checkModelSizes, type ModelConfig, sampleLength, stacksOf } from "../../lib/models/mod.ts";
import { tinyCorpus } from "../experiments/_tiny.ts";
import { withFiles } from "../text/_temporary.ts";

/** The model of a command line, with its sizes checked. */
function modelOf(...argv: string[]): ModelConfig {
  const model = modelConfig(parseCommand(trainCommand, argv).options);
  checkModelSizes(model);
  return model;
}

const root = fileURLToPath(new URL("../..", import.meta.url));

Deno.test({
  name: "deno task train that gets Ctrl-C ends with 130 and says in one line how to go on",
  ignore: Deno.build.os === "windows",
  fn: () =>
    withFiles(tinyCorpus(), async (folder) => {
      // The command keeps its runs beside its own lib: this one's is the temporary folder's.
      await symlink(join(root, "lib"), join(folder, "lib"));
      const train = join(folder, "lib", "cli", "train.ts");
      const permissions = ["read", "write", "env", "ffi", "sys", "run"].map((name) =>
        `--allow-${name}`
      );
      const sizes = { vocabulary: 270, context: 8, batch: 8, width: 8, layers: 1, steps: 100_000 };
      const options = Object.entries(sizes).flatMap(([name, size]) => [`--${name}`, `${size}`]);
      const process = new Deno.Command(Deno.execPath(), {
        args: [
          ...["run", "--no-check", ...permissions, `--config=${join(root, "deno.json")}`, train],
          ...["--corpus", join(folder, "corpus.jsonl"), "--backend", "wasm", ...options],
        ],
        stdin: "null",
        stdout: "null",
        stderr: "piped",
        env: { NO_COLOR: "1" },
      }).spawn();
      let said = "";
      let sent = false;
      for await (const chunk of process.stderr.pipeThrough(new TextDecoderStream())) {
        said += chunk;
        if (sent || !said.includes("step 10/")) continue;
        sent = true;
        process.kill("SIGINT");
      }
      const { code, signal } = await process.status;
      assert.equal(signal, null, "it ended by itself");
      assert.equal(code, 130, said);
      const last = said.trimEnd().split("\n").at(-1)!;
      const [, checkpoint] = last.match(
        /^stopped mixer clm, seed 1 after step \d+; run the same again to go on from (.*)$/,
      ) ?? assert.fail(said);
      assert.doesNotMatch(said, /error|\n\s+at /);
      assert.ok(checkpoint!.startsWith(join(folder, "runs")), last);
      assert.ok((await Deno.stat(checkpoint!)).size > 0);
    }),
});

for (const family of ["mixer", "transformer", "lstm"]) {
  for (const model of ["clm", "eem", "zeros", "autoencoder"]) {
    Deno.test(`deno task train --model ${model} --family ${family} makes such a model`, () => {
      const config = modelOf("--model", model, "--family", family, "--context", "24");
      const kinds = { clm: "causal", eem: "augmented", zeros: "augmented", autoencoder: model };
      assert.equal(config.kind, kinds[model as keyof typeof kinds]);
      assert.equal(sampleLength(config), 24);
      assert.ok(stacksOf(config).every(({ architecture }) => architecture === family));
    });
  }
}

Deno.test("deno task train hands joins, expansions and kernels on", () => {
  for (const join of ["embedding", "linear"]) {
    for (const model of ["eem", "zeros"]) {
      const config = modelOf("--model", model, "--join", join, "--kernel", "4");
      assert.ok(config.kind === "augmented" && config.join === join);
      assert.equal(sampleLength(config), 128);
      const [stack] = stacksOf(config);
      assert.ok(stack!.architecture === "mixer" && stack!.kernelSize === 4);
    }
  }
  const config = modelOf("--model", "autoencoder", "--expansion", "unroll");
  assert.ok(config.kind === "autoencoder" && config.expansion === "unroll");
});

Deno.test("deno task train takes --heads for attention and for mixing", () => {
  const headsOf = (...argv: string[]) => {
    const [stack] = stacksOf(modelOf(...argv));
    return stack!.architecture === "lstm" ? undefined : stack!.headCount;
  };
  assert.equal(headsOf("--family", "transformer"), 4);
  assert.equal(headsOf("--family", "transformer", "--heads", "8"), 8);
  assert.equal(headsOf("--family", "mixer"), undefined);
  assert.equal(headsOf("--family", "mixer", "--heads", "8"), 8);
});

Deno.test("deno task train refuses options that would do nothing", () => {
  const refused = [
    ["--join", "linear"],
    ["--model", "eem", "--expansion", "unroll"],
    ["--model", "zeros", "--embedding-size", "4"],
    ["--family", "transformer", "--kernel", "4"],
    ["--family", "lstm", "--heads", "2"],
    ["--model", "autoencoder", "--bits", "4"],
    ["--encoder-width", "16"],
    ["--model", "autoencoder", "--initialization", "pytorch"],
  ];
  for (const argv of refused) {
    const { options, given } = parseCommand(trainCommand, argv);
    const option = argv.at(-2)!;
    assert.throws(
      () => checkApplicable(options, given),
      (error: Error) => error instanceof UsageError && error.message.startsWith(`${option} does`),
    );
  }
  for (const argv of [[], ["--model", "zeros", "--join", "embedding", "--embedding-size", "4"]]) {
    const { options, given } = parseCommand(trainCommand, argv);
    checkApplicable(options, given);
  }
});
