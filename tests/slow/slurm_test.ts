/** Slurm, as its Debian packages have it, on this machine: workers by srun, a sweep by sbatch. */

import assert from "node:assert/strict";
import { TINY_OPTIONS, withOwnProject } from "../cli/_own_project.ts";
import { taskWords } from "../cli/_task.ts";
import { hasSlurm, waitFor, withSlurm } from "./_slurm.ts";

const decode = (bytes: Uint8Array) => new TextDecoder().decode(bytes);

Deno.test({
  name: "srun starts two workers of a run",
  ignore: !hasSlurm(),
  fn: () =>
    withSlurm(({ env }) =>
      withOwnProject(async ({ folder }) => {
        const options = [...TINY_OPTIONS, "--steps", "40"];
        const { code, stdout, stderr } = await new Deno.Command("srun", {
          args: ["-n", "2", "--overcommit", Deno.execPath(), ...taskWords("train"), ...options],
          cwd: folder,
          env: { NO_COLOR: "1", TF_NUM_INTRAOP_THREADS: "1", ...env },
        }).output();
        assert.equal(code, 0, decode(stderr));
        assert.match(decode(stderr), /^workers: localhost:(\d+), localhost:\d+$/m);
        assert.match(decode(stdout), /^step 40 {2}held-out loss \d/m);
        const [run] = decode(stdout).match(/(?<=^run: ).*/m)!;
        assert.ok((await Deno.stat(`${folder}/runs/${run}/model.safetensors`)).isFile);
      })
    ),
});

Deno.test({
  name: "a sweep of four runs is a Slurm array",
  ignore: !hasSlurm(),
  fn: () =>
    withSlurm(({ env }) =>
      withOwnProject(async ({ run }) => {
        const words = (...own: string[]) => [
          ...["--seeds", "1,2,3,4", ...own, "--"],
          ...[...TINY_OPTIONS, "--steps", "20"],
        ];
        const submitted = await run("sweep", words("--slurm"), env);
        assert.equal(submitted.code, 0, submitted.stderr);
        assert.match(submitted.stdout, /^submitted: Slurm jobs \d+$/m);
        await waitFor("the end of the array", async () => {
          const { stdout } = await new Deno.Command("squeue", { args: ["-h"], env }).output();
          return decode(stdout).trim() === "";
        });
        const { code, stdout, stderr } = await run("sweep", words("--report"), env);
        assert.equal(code, 0, stderr);
        assert.match(stdout, /^4 of 4 runs are finished$/m);
      })
    ),
});
