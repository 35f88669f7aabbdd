import assert from "node:assert/strict";
import { freeAddresses } from "../../lib/cli/_local_workers.ts";
import { runWorkers, workerEnvironment } from "../_workers.ts";

const program = new URL("./_collective_worker.ts", import.meta.url);

Deno.test("workers sum tensors, exchange texts and learn why one of them gives up", async () => {
  const count = 3;
  const ended = await runWorkers(program, count, []);
  ended.forEach(({ code, stdout, stderr }, index) => {
    assert.equal(code, 0, stderr);
    assert.equal(stderr, "", "nothing of TensorFlow's own on the terminal");
    const found = JSON.parse(stdout);
    assert.equal(found.index, index);
    const expected = [
      [[1000], Array.from({ length: 1000 }, (_, i) => 6 * (i % 97))],
      [[2, 1], [0 + 1 + 2, 3]],
      [[2], [3, 0 + 1 + 2]],
    ];
    assert.deepEqual(found.sums, [expected, expected, expected]);
    assert.deepEqual(found.texts, [0, 1, 2].map((other) => `of ${other} → "ü"\n`));
    assert.deepEqual(found.empty, ["", "", ""]);
    assert.equal(found.refused, "these do not belong together");
  });
});

/** Starts a worker that will not get far. */
async function refusedWorker(
  addresses: readonly string[],
  index: number,
): Promise<{ code: number; stderr: string }> {
  const { code, stderr } = await new Deno.Command(Deno.execPath(), {
    args: ["run", "--no-check", "--allow-all", program.href],
    env: { NO_COLOR: "1", ...workerEnvironment(addresses, index) },
    stdout: "null",
    stderr: "piped",
  }).output();
  return { code, stderr: new TextDecoder().decode(stderr) };
}

Deno.test("a worker whose port is in use says so", async () => {
  const addresses = freeAddresses(2);
  const port = Number(addresses[1]!.split(":")[1]);
  using _listener = Deno.listen({ hostname: "127.0.0.1", port });
  const { code, stderr } = await refusedWorker(addresses, 1);
  assert.equal(code, 1);
  assert.match(
    stderr,
    new RegExp(`UserError: worker 1 \\(${addresses[1]}\\): its port cannot be had; end what uses`),
  );
});
