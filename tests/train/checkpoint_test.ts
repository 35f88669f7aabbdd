import assert from "node:assert/strict";
import { memory, namedLeaves, type Tree } from "../../lib/engine/mod.ts";
import { UserError } from "../../lib/errors.ts";
import { initModel } from "../../lib/models/mod.ts";
import { createRandom } from "../../lib/random.ts";
import {
  disposeSession,
  formatCheckpoint,
  formatWeights,
  parseCheckpoint,
  startSession,
  train,
  type TrainingRecord,
} from "../../lib/train/mod.ts";
import { formatSafetensors, parseSafetensors } from "../../lib/train/safetensors.ts";
import { restoreTree } from "../../lib/train/weights.ts";
import { onEveryBackend } from "../_backends.ts";
import {
  BACKENDS,
  compile,
  CONFIG,
  runToEnd,
  SESSIONS,
  timeless,
  trainedEncoder,
  valuesOf,
  WITH_ENCODER,
} from "./_tiny_training.ts";

const namesOf = (tree: Tree) => namedLeaves(tree).map(({ name }) => name);

for (const { name, config, data, start } of SESSIONS) {
  onEveryBackend(`parseCheckpoint() of ${name} goes on from any record, bit by bit`, async () => {
    const programs = compile(config);
    const session = start();
    const records: TrainingRecord[] = [];
    const checkpoints: Uint8Array[] = [];
    for await (const record of train(config, data, session, programs)) {
      records.push(record);
      checkpoints.push(await formatCheckpoint(session));
    }
    assert.equal(records.at(-1)!.step, 11);
    for (const [index, bytes] of checkpoints.slice(0, -1).entries()) {
      const encoder = "encoder" in session.frozen ? trainedEncoder() : undefined;
      const resumed = parseCheckpoint(bytes, config, "checkpoint", encoder);
      assert.deepEqual(await formatCheckpoint(resumed), bytes, "it holds all of a session");
      const rest = await runToEnd(resumed, programs, config, data);
      assert.deepEqual(rest.map(timeless), records.slice(index + 1).map(timeless));
      assert.deepEqual(await formatCheckpoint(resumed), checkpoints.at(-1));
      disposeSession(resumed);
    }
  }, BACKENDS);
}

for (const [name, config] of Object.entries(WITH_ENCODER)) {
  onEveryBackend(`a checkpoint of an ${name} leaves a frozen encoder to its owner`, async () => {
    const encoder = trainedEncoder();
    const values = valuesOf(encoder);
    const session = startSession(config, encoder);
    const bytes = await formatCheckpoint(session);
    const stored = [...parseSafetensors(bytes, "checkpoint").tensors.keys()];
    assert.deepEqual(stored, namesOf(session.state));
    assert.deepEqual(stored.filter((tensor) => tensor.includes("encoder")), []);

    const before = memory().numTensors;
    const resumed = parseCheckpoint(bytes, config, "checkpoint", encoder);
    assert.equal(memory().numTensors - before, stored.length);
    assert.deepEqual(resumed, { ...session, state: resumed.state });
    disposeSession(resumed);
    assert.deepEqual(valuesOf(encoder), values);
  }, { only: ["cpu"] });

  onEveryBackend(`formatWeights() of an ${name} contains a frozen encoder`, async () => {
    const encoder = trainedEncoder();
    const session = startSession(config, encoder);
    const { tensors } = parseSafetensors(await formatWeights(session), "weights");
    const example = initModel(config.model, createRandom(1));
    assert.deepEqual([...tensors.keys()].sort(), namesOf(example).sort());
    const model = restoreTree(example, tensors, "weights");
    assert.ok("encoder" in model);
    const { encoder: stored, ...rest } = model;
    assert.deepEqual(valuesOf(stored), valuesOf(encoder));
    assert.deepEqual(valuesOf(rest), valuesOf(session.state.params));
  }, { only: ["cpu"] });
}

onEveryBackend("parseCheckpoint() names what does not fit", async () => {
  const session = startSession(CONFIG);
  const bytes = await formatCheckpoint(session);
  const { model } = CONFIG;
  assert.ok(model.kind === "causal");
  const wider = { ...model, backbone: { ...model.backbone, width: 10 } };
  assert.throws(
    () => parseCheckpoint(bytes, { ...CONFIG, model: wider }, "some/file"),
    (error) => error instanceof UserError && /some\/file: expected .* of shape/.test(error.message),
  );
  const { tensors, metadata } = parseSafetensors(bytes, "some/file");
  const damaged = formatSafetensors({ tensors, metadata: { ...metadata, progress: '{"step":' } });
  const { progress: _, ...withoutProgress } = metadata;
  const weights = formatSafetensors({ tensors, metadata: withoutProgress });
  const before = memory().numTensors;
  for (
    const [file, message] of [
      [damaged, "expected the progress of a run as JSON, found damaged text"],
      [weights, "expected a checkpoint, found weights without progress"],
    ] as const
  ) {
    assert.throws(
      () => parseCheckpoint(file, CONFIG, "some/file"),
      (error) => error instanceof UserError && error.message === `some/file: ${message}`,
    );
  }
  assert.equal(memory().numTensors, before);
  assert.ok(
    namesOf(session.state).some((name) => name.startsWith("secondMoment")),
    "moments are part of it",
  );
}, { only: ["cpu"] });
