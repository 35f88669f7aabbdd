import assert from "node:assert/strict";
import { lastLines, runChild } from "../../lib/cli/_process.ts";
import { UserError } from "../../lib/errors.ts";

const processModule = new URL("../../lib/cli/_process.ts", import.meta.url).href;

Deno.test("runChild() collects lines as they come and the exit code", async () => {
  const lines: string[] = [];
  const code = 'console.log("a\\nb"); console.error("c"); Deno.exit(3)';
  const result = await runChild(Deno.execPath(), ["eval", code], {
    onLine: (line) => lines.push(line),
  });
  assert.equal(result.code, 3);
  assert.equal(result.stdout, "a\nb");
  assert.deepEqual(lines.toSorted(), ["a", "b", "c"]);
  assert.equal(lastLines(result.stdout, 1), "  b");
  assert.equal(lastLines("a\nabcdef\n", 2, 4), "  a\n  abc…");
});

Deno.test("runChild() says when there is no such program", async () => {
  await assert.rejects(runChild("no-such-program-here", []), (error) => {
    assert.ok(error instanceof UserError);
    assert.match(error.message, /cannot start no-such-program-here/);
    return true;
  });
});

/**
 * Interrupts a process that runs `command` through runChild(), once `command` has printed a process
 * id, and gives that id and what the process said in the end.
 */
async function interruptRunChild(
  command: readonly string[],
  graceMilliseconds: number,
): Promise<{ pid: number; outcome: string | undefined }> {
  const [program, ...args] = command;
  const parent = `
    import { Interrupted, runChild } from ${JSON.stringify(processModule)};
    try {
      await runChild(${JSON.stringify(program)}, ${JSON.stringify(args)}, {
        graceMilliseconds: ${graceMilliseconds},
        onLine: (line) => console.log(line),
      });
    } catch (error) {
      console.log(error instanceof Interrupted ? "interrupted" : String(error));
    }`;
  const child = new Deno.Command(Deno.execPath(), {
    args: ["eval", "--no-check", parent],
    stdout: "piped",
  }).spawn();
  const tooLong = setTimeout(() => child.kill("SIGKILL"), 15_000);
  let said = "";
  for await (const text of child.stdout.pipeThrough(new TextDecoderStream())) {
    if (said === "") child.kill("SIGINT");
    said += text;
  }
  await child.status;
  clearTimeout(tooLong);
  const [pid = "", outcome] = said.trim().split("\n");
  return { pid: Number(pid), outcome };
}

Deno.test({
  name: "runChild() passes Ctrl-C on, kills what does not end, and reports the interruption",
  ignore: Deno.build.os === "windows",
  fn: async () => {
    const stubborn = 'Deno.addSignalListener("SIGINT", () => {}); console.log(Deno.pid); ' +
      "setTimeout(() => {}, 60_000)";
    const { pid, outcome } = await interruptRunChild([Deno.execPath(), "eval", stubborn], 200);
    assert.equal(outcome, "interrupted");
    assert.throws(() => Deno.kill(pid, "SIGCONT"), "the grandchild has ended");
  },
});

Deno.test({
  name: "runChild() ends after Ctrl-C although a detached grandchild holds the pipes",
  ignore: Deno.build.os !== "linux", // setsid
  fn: async () => {
    // As a notebook's kernel does: a session of its own, the parent's output, deaf to SIGINT.
    const deaf = `trap "" INT; echo $$; while :; do sleep 1; done`;
    const shell = ["sh", "-c", `setsid sh -c '${deaf}' & wait`];
    const { pid, outcome } = await interruptRunChild(shell, 1000);
    assert.equal(outcome, "interrupted");
    const ps = await new Deno.Command("ps", { args: ["-o", "stat=", "-p", `${pid}`] }).output();
    const state = new TextDecoder().decode(ps.stdout).trim();
    assert.ok(state === "" || state.startsWith("Z"), `the grandchild has ended, found "${state}"`);
  },
});
