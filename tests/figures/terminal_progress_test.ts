import assert from "node:assert/strict";
import { formatProgress, terminalProgress } from "../../lib/figures/mod.ts";
import { formatDuration } from "../../lib/figures/terminal_progress.ts";

const state = (step: number, etaSeconds = 100) => ({
  step,
  steps: 100,
  lossNats: 4.56789,
  tokensPerSecond: 12345.6,
  etaSeconds,
  curve: [],
});

Deno.test("formatProgress() is step, loss, speed and time left", () => {
  assert.equal(
    formatProgress("CLM", state(7)),
    "CLM · step 7/100 · loss 4.568 nats · 12,346 tokens/s · 1 min 40 s left",
  );
  assert.match(formatProgress("CLM", state(100)), /done$/);
});

Deno.test("formatProgress() counts what is no training in its own unit", () => {
  assert.equal(
    formatProgress("estimating", { unit: "window", step: 7, steps: 100, etaSeconds: 100 }),
    "estimating · window 7/100 · 1 min 40 s left",
  );
});

Deno.test("formatDuration() picks its units", () => {
  assert.deepEqual([12.4, 61, 3725, NaN].map(formatDuration), [
    "12 s",
    "1 min 01 s",
    "1 h 02 min",
    "–",
  ]);
});

Deno.test("terminalProgress() rewrites one line of a terminal and ends it", () => {
  let written = "";
  const sink = terminalProgress({
    label: "CLM",
    isTerminal: true,
    write: (text) => written += text,
  });
  sink.show(state(1, 3725), false);
  sink.show(state(2, 5), true);
  const [before, first, second] = written.split("\r");
  assert.equal(before, "");
  assert.equal(second!.length, first!.length + 1, "what stood there is overwritten");
  assert.equal(written.indexOf("\n"), written.length - 1);
});

Deno.test("terminalProgress() writes a log a line every tenth", () => {
  const lines: string[] = [];
  const sink = terminalProgress({
    label: "CLM",
    isTerminal: false,
    write: (line) => lines.push(line),
  });
  for (let step = 1; step <= 100; step++) sink.show(state(step), step === 100);
  assert.equal(lines.length, 11);
  assert.ok(lines.every((line) => line.endsWith("\n") && !line.includes("\r")));
  assert.match(lines[1]!, /step 10\/100/);
  assert.match(lines.at(-1)!, /step 100\/100/);
});
