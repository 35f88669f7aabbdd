import assert from "node:assert/strict";
import { sbatchWords } from "../../lib/cli/_sweep_slurm.ts";
import { TINY_OPTIONS, withOwnProject } from "./_own_project.ts";

Deno.test("a sweep trains what is missing, repeats nothing and lists what failed", () =>
  withOwnProject(async ({ folder, run }) => {
    const options = [...TINY_OPTIONS, "--steps", "20"].join(" ");
    const configs = `${options}\n# too fast\n${options} --learning-rate 1e30\n`;
    await Deno.writeTextFile(`${folder}/configs`, configs);
    const sweep = (...argv: string[]) => run("sweep", ["--configs", "configs", ...argv]);
    const first = await sweep("--seeds", "1,2", "--jobs", "2");
    assert.equal(first.code, 1, first.stderr);
    assert.match(first.stdout, /^4 runs, 0 of them finished before$/m);
    assert.match(first.stdout, /20 +2 +5\.\d{4} ± \d\.\d{4}$/m);
    assert.match(first.stdout, /^2 of 4 runs are finished$/m);
    const failed = first.stderr.match(
      /^not finished: .*learning-rate 1e30, seed [12]: error: .*/gm,
    );
    assert.equal(failed?.length, 2, first.stderr);
    assert.match(failed[0]!, /diverged at step \d+/);

    const again = await sweep("--seeds", "1,2,3", "--report");
    assert.equal(again.code, 1);
    assert.match(again.stdout, /^6 runs, 2 of them finished before$/m);
    assert.match(again.stderr, /seed 3: not finished$/m);

    const wrong = await run("sweep", ["--seeds", "1", "--", "--modell", "eem"]);
    assert.equal(wrong.code, 2);
    assert.match(
      wrong.stderr,
      /^error: --modell eem: unknown option --modell, did you mean --model/,
    );
    for (
      const [option, expected] of [
        ["--seed=3", "--seeds of the sweep instead"],
        ["--backend=wasm", "the environment variable KYL_BACKEND instead"],
        ["--fresh", "none in a sweep, which repeats no finished run"],
        ["--json", "none in a sweep, whose report is a table"],
      ] as const
    ) {
      const { code, stderr } = await run("sweep", ["--", option]);
      assert.equal(code, 2);
      assert.ok(stderr.includes(`${option.split("=")[0]}: expected ${expected}`), stderr);
    }
    assert.equal((await run("sweep", [])).code, 2);
  }));

Deno.test("a sweep does not start what needs a run that failed", () =>
  withOwnProject(async ({ folder, run }) => {
    const options = [...TINY_OPTIONS, "--model", "clm", "--steps", "20"];
    const trained = await run("train", options);
    const [teacher] = trained.stdout.match(/(?<=^run: ).*/m)!;
    // As if it had been interrupted, and its checkpoint damaged.
    const records = `${folder}/runs/${teacher}/records.jsonl`;
    const lines = (await Deno.readTextFile(records)).trimEnd().split("\n");
    await Deno.writeTextFile(records, `${lines.slice(0, -1).join("\n")}\n`);
    await Deno.writeTextFile(`${folder}/runs/${teacher}/checkpoint.safetensors`, "damaged");

    const needing = ["--objective", "one-sided", "--entropies", teacher];
    const sweepOf = (...own: string[]) =>
      run("sweep", ["--seeds", "1,2", ...own, "--", ...options, ...needing]);
    const sweep = await sweepOf();
    assert.equal(sweep.code, 1);
    assert.match(sweep.stdout, /^mixer clm, seed 1: failed in \d+ s$/m);
    assert.doesNotMatch(sweep.stdout, /one-sided/);
    assert.match(sweep.stdout, /^0 of 3 runs are finished$/m);
    assert.match(sweep.stderr, /^not finished: mixer clm, seed 1: error: .*checkpoint/m);
    for (const seed of [1, 2]) {
      const line = `not finished: mixer clm, one-sided, seed ${seed}: ` +
        "needs mixer clm, seed 1, which failed";
      assert.ok(sweep.stderr.split("\n").includes(line), sweep.stderr);
    }
    const task = await sweepOf("--run=1"); // Slurm starts it whatever came of those before
    assert.equal(task.code, 1);
    assert.match(
      task.stderr,
      /^error: needs mixer clm, seed 1, which is not finished; train that /m,
    );
    assert.deepEqual([...Deno.readDirSync(`${folder}/runs`)].map(({ name }) => name), [teacher]);
  }));

Deno.test({
  name: "a sweep that is stopped says what there is, and ends as Ctrl-C does",
  ignore: Deno.build.os === "windows", // no groups of processes
  fn: () =>
    withOwnProject(async ({ folder, command }) => {
      const options = [...TINY_OPTIONS, "--steps", "20000"];
      const argv = ["--seeds", "1,2", "--", ...options];
      const process = command("sweep", argv, {}, true).spawn();
      const output = process.output();
      // As the terminal does.
      await untilRecords(`${folder}/runs`).finally(() => Deno.kill(-process.pid, "SIGINT"));
      const { code, stdout, stderr } = await output;
      const said = new TextDecoder().decode(stderr);
      assert.equal(code, 130, said);
      const shown = new TextDecoder().decode(stdout);
      assert.match(shown, /^mixer .*, seed 1: stopped in \d+ s$/m);
      assert.match(shown, /^0 of 2 runs are finished$/m);
      assert.match(said, /^not finished: mixer .*, seed 1: stopped mixer .* after step \d+; run /m);
      assert.match(said, /^not finished: mixer .*, seed 2: not finished$/m);
      assert.doesNotMatch(shown, /seed 2/);
    }),
});

/** Waits until a run has a record. */
async function untilRecords(runs: string): Promise<void> {
  for (const end = performance.now() + 120_000; performance.now() < end;) {
    await new Promise((resolve) => setTimeout(resolve, 50));
    try {
      for (const { name } of Deno.readDirSync(runs)) {
        if (Deno.statSync(`${runs}/${name}/records.jsonl`).size > 0) return;
      }
    } catch (error) {
      if (!(error instanceof Deno.errors.NotFound)) throw error;
    }
  }
  assert.fail("expected a run in its first minutes");
}

Deno.test("sbatch gets a task a run, behind the level before, and words as they were typed", () => {
  const words = sbatchWords([0, 2], {
    sbatch: ["--partition=gpu"],
    command: (run) => ["deno", `--run=${run}`, "--", "--corpus", "it's a file"],
    folder: "/project",
  }, "7");
  assert.deepEqual(words.slice(0, -1), [
    ...["sbatch", "--parsable", "--ntasks=1", "--array=0,2", "--chdir=/project"],
    ...["--output=slurm-%A_%a.out", "--dependency=afterany:7", "--partition=gpu"],
  ]);
  const script = words.at(-1)!.replace("--wrap=", "").replace("'deno'", `printf '%s|'`);
  const { stdout } = new Deno.Command("sh", {
    args: ["-c", script],
    env: { SLURM_ARRAY_TASK_ID: "2" },
  }).outputSync();
  assert.equal(new TextDecoder().decode(stdout), "--run=2|--|--corpus|it's a file|");
});
