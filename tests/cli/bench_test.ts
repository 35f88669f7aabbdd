import assert from "node:assert/strict";
import { UserError } from "../../lib/errors.ts";
import type { ModelConfig } from "../../lib/models/mod.ts";
import {
  SPEED_FAMILIES,
  SPEED_KINDS,
  SPEED_SIZES,
  type SpeedCase,
  speedCaseName,
  speedModel,
} from "../../lib/experiments/mod.ts";
import { forwardFlops, trainingFlops } from "../../lib/measure/mod.ts";
import { selectCases } from "../bench/_cases.ts";
import { linesOf } from "../bench/_lines.ts";
import { largestDifference } from "../bench/_race.ts";
import { runTask } from "./_task.ts";

const CASES: readonly SpeedCase[] = SPEED_SIZES.flatMap((size) =>
  SPEED_FAMILIES.flatMap((family) => SPEED_KINDS.map((kind) => ({ family, kind, size })))
);

Deno.test("forwardFlops() of a causal mixer are those of a count by hand", () => {
  const sizes = { vocabSize: 7, contextLength: 5, width: 3, layerCount: 2 };
  const config: ModelConfig = { kind: "causal", backbone: { architecture: "mixer", ...sizes } };
  const mixing = 5 * 5 * 3;
  const feedForward = 2 * 5 * 3 * 12;
  const head = 4 * 3 * 7; // the last position predicts nothing
  assert.equal(forwardFlops(config, 11), 2 * 11 * (2 * (mixing + feedForward) + head));
  assert.equal(trainingFlops(config, 11), 3 * forwardFlops(config, 11));
});

Deno.test("forwardFlops() of a transformer EEM count the way of the embedding, too", () => {
  const stack = (width: number, contextLength: number) => ({
    architecture: "transformer" as const,
    vocabSize: 7,
    contextLength,
    width,
    layerCount: 1,
    headCount: 2,
  });
  const config: ModelConfig = {
    kind: "augmented",
    memory: "embedding",
    embeddingSize: 3,
    encoder: stack(4, 5),
    decoder: stack(8, 6),
  };
  const block = (width: number, length: number) =>
    4 * length * width ** 2 + 2 * length ** 2 * width + 3 * length * width * 4 * width;
  const between = 4 * 3 + 3 * 4 + 4 * 8; // down, up, projection
  const head = 4 * 8 * 7; // neither the slot nor the last token predicts
  assert.equal(forwardFlops(config, 1), 2 * (block(4, 5) + block(8, 6) + between + head));
});

Deno.test("selectCases() takes words of a sort as alternatives and unknown ones as errors", () => {
  const names = (...words: string[]) => selectCases(CASES, words).map(speedCaseName);
  assert.equal(names().length, 12);
  assert.deepEqual(names("mixer", "128"), ["mixer CLM 128", "mixer EEM 128"]);
  assert.deepEqual(names("EEM", "transformer", "128", "512"), [
    "transformer EEM 128",
    "transformer EEM 512",
  ]);
  assert.throws(() => names("lstm"), (error) => {
    assert.ok(error instanceof UserError);
    assert.match(error.message, /"lstm"; words are mixer, transformer, clm, eem, 128, 256, 512$/);
    return true;
  });
});

Deno.test("an EEM of the benchmarks has an encoder half as wide and a slot for its embedding", () => {
  const config = speedModel({ family: "mixer", kind: "EEM", size: SPEED_SIZES[0]! });
  assert.ok(config.kind === "augmented" && config.memory === "embedding");
  assert.deepEqual([config.encoder.width, config.decoder.width], [64, 128]);
  assert.deepEqual([config.encoder.contextLength, config.decoder.contextLength], [128, 129]);
});

Deno.test("largestDifference() refuses contestants that compute something else", () => {
  const two = [{ name: "ours" }, { name: "other" }];
  assert.equal(largestDifference(two, [[4, 2], [4, 2.01]]), (2.01 - 2) / 2);
  for (const wrong of [2.03, NaN]) {
    assert.throws(() => largestDifference(two, [[4, 2], [4, wrong]]), (error) => {
      assert.ok(error instanceof UserError);
      assert.match(error.message, /^other had loss (2\.0300|NaN) at step 2, ours 2\.0000: .*1 %/);
      assert.doesNotMatch(error.message, /\n/);
      return true;
    });
  }
});

Deno.test("linesOf() joins what a pipe has cut", async () => {
  const chunks = ['{"a"', ":1}\n{", "}\nlast"].map((text) => new TextEncoder().encode(text));
  assert.deepEqual(await Array.fromAsync(linesOf(ReadableStream.from(chunks))), [
    '{"a":1}',
    "{}",
    "last",
  ]);
});

Deno.test("deno task bench refuses what it cannot measure in one line", async () => {
  const refusal = async (...argv: string[]) => {
    const { code, stderr } = await runTask("bench", argv);
    assert.notEqual(code, 0);
    const lines = stderr.trim().split("\n").filter((line) => line.startsWith("error: "));
    assert.equal(lines.length, 1, stderr);
    return lines[0]!;
  };
  assert.match(await refusal("speed"), /no benchmark fits "speed"; there are: .*training/);
  assert.match(await refusal("--peers", "none,jax"), /--peers: expected none or some/);
  assert.match(await refusal("--peers", "tensorflow"), /--peers must be .*torch, compile, jax/);
  assert.match(await refusal("--json", "/nowhere/a.json"), /--json: expected an existing folder/);
  assert.match(
    await refusal("--json", "tests"),
    /--json: expected a file's name, found the folder/,
  );
  assert.match(
    await refusal("training", "--python", "/nowhere/python"),
    /--python: expected a Python, found no \/nowhere\/python/,
  );
});
