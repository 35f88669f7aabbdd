import assert from "node:assert/strict";
import { runTask, TASKS } from "./_task.ts";

Deno.test("every task starts with the permissions that it has", async () => {
  for (const task of TASKS) {
    const { code, stdout, stderr } = await runTask(task, ["--help"]);
    assert.equal(code, 0, `${task}: ${stderr}`);
    assert.ok(stdout.includes(`deno task ${task.split(":")[0]}`), `${task}: ${stdout}`);
    assert.ok(stdout.includes("--help"), `${task}: ${stdout}`);
  }
});
