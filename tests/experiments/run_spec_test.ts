import assert from "node:assert/strict";
import { runId, type RunSpec, TRAINING_VERSION } from "../../lib/experiments/run_spec.ts";
import type { ModelConfig } from "../../lib/models/mod.ts";
import { tinySpec } from "./_tiny.ts";

const SPEC = tinySpec("folder", "eem");
const KEY = "corpus key";

/** The end of an id, which says what decides a run's numbers. */
function hashOf(id: string): string {
  const [hash] = id.match(/[0-9a-f]{12}$/) ?? assert.fail(`no hash at the end of ${id}`);
  return hash;
}

/** The same value, the keys of every object in reverse order. */
function reversed<T>(value: T): T {
  if (Array.isArray(value)) return value.map(reversed) as T;
  if (typeof value !== "object" || value === null) return value;
  const entries = Object.entries(value).reverse();
  return Object.fromEntries(entries.map(([key, child]) => [key, reversed(child)])) as T;
}

/** Copies of `value`, each with one leaf changed, by the leaf's path. */
function* withOneChange(value: unknown, path = ""): Generator<[path: string, changed: unknown]> {
  if (typeof value === "number") yield [path, value + 1];
  else if (typeof value === "string") yield [path, `${value} `];
  else if (Array.isArray(value)) {
    yield [`${path}.length`, [...value, 1]];
    for (const [index, child] of value.entries()) {
      for (const [where, changed] of withOneChange(child, `${path}.${index}`)) {
        yield [where, value.with(index, changed)];
      }
    }
  } else {
    for (const [key, child] of Object.entries(value as object)) {
      for (const [where, changed] of withOneChange(child, `${path}.${key}`)) {
        yield [where, { ...value as object, [key]: changed }];
      }
    }
  }
}

Deno.test("runId() says model, seed and a hash, fit for a file name", () => {
  const idOf = (model: ModelConfig, seed = 3) =>
    runId({ ...SPEC, training: { ...SPEC.training, model, seed } }, KEY);
  const { model: clm } = tinySpec("folder", "clm").training;
  const { model: zeros } = tinySpec("folder", "zeros").training;
  const { model: eem } = SPEC.training;
  assert.ok(clm.kind === "causal" && eem.kind === "augmented" && eem.memory === "embedding");
  assert.match(idOf(clm), /^mixer-clm-seed-3-[0-9a-f]{12}$/);
  assert.match(idOf(zeros, 42), /^mixer-zeros-seed-42-[0-9a-f]{12}$/);
  assert.match(idOf(eem), /^mixer-eem-2-seed-3-[0-9a-f]{12}$/);
  const transformer = { ...clm.backbone, architecture: "transformer", headCount: 2 } as const;
  assert.match(
    idOf({ ...clm, backbone: transformer }),
    /^transformer-clm-seed-3-[0-9a-f]{12}$/,
  );
  assert.match(
    idOf({ ...eem, decoder: { ...transformer, contextLength: 9 }, embeddingSize: 4 }),
    /^transformer-eem-4-seed-3-[0-9a-f]{12}$/,
  );
});

Deno.test("runId() is the same whatever the order of keys", () => {
  const other = reversed(SPEC);
  assert.notEqual(JSON.stringify(other), JSON.stringify(SPEC));
  assert.equal(runId(other, KEY), runId(SPEC, KEY));
});

Deno.test("runId() changes with every field that decides a run's numbers", () => {
  const { data: { corpus: _, ...data }, training, quantizedBits } = SPEC;
  const ids = new Map([[hashOf(runId(SPEC, KEY)), "nothing"]]);
  let count = 0;
  for (const [path, changed] of withOneChange({ data, training, quantizedBits })) {
    const id = hashOf(runId({ ...SPEC, ...changed as Partial<RunSpec> }, KEY));
    assert.equal(ids.get(id), undefined, `changing ${path} gives the id of ${ids.get(id)}`);
    ids.set(id, path);
    count++;
  }
  assert.ok(count > 30, `only ${count} fields`);
  assert.notEqual(hashOf(runId(SPEC, "another corpus")), hashOf(runId(SPEC, KEY)));
});

Deno.test("runId() keeps the order of lists", () => {
  const swapped = { ...SPEC, quantizedBits: SPEC.quantizedBits.toReversed() };
  assert.notEqual(runId(swapped, KEY), runId(SPEC, KEY));
});

Deno.test("runId() takes no labels", () => {
  const renamed = { ...SPEC, arm: "another", family: "name" };
  assert.equal(runId(renamed, KEY), runId(SPEC, KEY));
});

Deno.test("runId() takes the corpus for its content, not for where it lies", () => {
  const moved = { ...SPEC.data, corpus: "elsewhere/corpus.jsonl", textField: "body" };
  assert.equal(runId({ ...SPEC, data: moved }, KEY), runId(SPEC, KEY));
});

Deno.test("runId() changes with TRAINING_VERSION", async () => {
  const url = new URL("../../lib/experiments/run_spec.ts", import.meta.url);
  const source = await Deno.readTextFile(url);
  const raised = source.replace(
    `TRAINING_VERSION = ${TRAINING_VERSION}`,
    `TRAINING_VERSION = ${TRAINING_VERSION + 1}`,
  ).replaceAll(/^import type .*$/gm, "");
  const module: { runId: typeof runId } = await import(
    `data:application/typescript,${encodeURIComponent(raised)}`
  );
  assert.notEqual(hashOf(module.runId(SPEC, KEY)), hashOf(runId(SPEC, KEY)));
});
