import assert from "node:assert/strict";
import { JSDOM } from "jsdom";
import { UserError } from "../../lib/errors.ts";
import { notebookProgress, progressHtml } from "../../lib/figures/live_progress.ts";
import { liveProgress, type ProgressState } from "../../lib/figures/mod.ts";

const state = (step: number, steps = 100): ProgressState => ({
  step,
  steps,
  lossNats: 4.5,
  tokensPerSecond: 1000,
  etaSeconds: 10,
  curve: Array.from({ length: step }, (_, x) => ({ x: x + 1, y: 9 - x / 20 })),
});

function recorder() {
  const shown: [step: number, final: boolean][] = [];
  return {
    shown,
    sink: { show: (s: ProgressState, final: boolean) => void shown.push([s.step, final]) },
  };
}

Deno.test("liveProgress() shows at most two states a second, and the last", async () => {
  const { shown, sink } = recorder();
  let nowMs = 0;
  const progress = liveProgress({ sink, now: () => nowMs });
  for (let step = 1; step <= 100; step++, nowMs += 30) await progress.update(state(step));
  assert.deepEqual(shown, [
    [1, false],
    [18, false],
    [35, false],
    [52, false],
    [69, false],
    [86, false],
    [100, true],
  ]);
});

Deno.test("liveProgress() finish() shows the state a stopped run ended in, once", async () => {
  const { shown, sink } = recorder();
  const progress = liveProgress({ sink, now: () => 0 });
  for (const step of [1, 2, 3]) await progress.update(state(step));
  await progress.finish();
  await progress.finish();
  await progress.update(state(4));
  assert.deepEqual(shown, [[1, false], [3, true]]);
});

Deno.test("liveProgress() rejects a run without steps", async () => {
  const { sink } = recorder();
  await assert.rejects(liveProgress({ sink }).update(state(0, 0)), UserError);
});

Deno.test("notebookProgress() opens one display and updates it", async () => {
  const messages: [string, Record<string, unknown>][] = [];
  const sink = notebookProgress("CLM", (type, content) => {
    messages.push([type, content]);
    return Promise.resolve();
  });
  for (const step of [1, 2, 3]) await sink.show(state(step), false);
  assert.deepEqual(messages.map(([type]) => type), [
    "display_data",
    "update_display_data",
    "update_display_data",
  ]);
  const ids = messages.map(([, { transient }]) => (transient as { display_id: string }).display_id);
  assert.equal(new Set(ids).size, 1);
  assert.ok(ids[0]);
});

Deno.test("progressHtml() has a bar as long as the progress, a falling curve and escaped labels", () => {
  const { document } = new JSDOM(progressHtml("<script>", state(25))).window;
  assert.equal(document.querySelectorAll("script").length, 0);
  assert.match(document.body.innerHTML, /width:\s*25\.0%/);
  const points = document.querySelector("polyline").getAttribute("points").split(" ")
    .map((point: string) => point.split(",").map(Number)) as [number, number][];
  assert.equal(points.length, 25);
  assert.ok(points.at(-1)![0] > points[0]![0] && points.at(-1)![1] > points[0]![1]);
});
