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
    assert.equal((await run("sweep", [])).code, 2);
  }));

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
