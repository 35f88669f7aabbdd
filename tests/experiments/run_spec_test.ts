import assert from "node:assert/strict";
import { join } from "node:path";
import { pathToFileURL } from "node:url";
import {
  neededRuns,
  runId,
  type RunSpec,
  type Teacher,
  teacherRuns,
  TRAINING_VERSION,
  withText,
} from "../../lib/experiments/run_spec.ts";
import type { ModelConfig } from "../../lib/models/mod.ts";
import { withFiles } from "../text/_temporary.ts";
import { tinyLatentSpec, tinySpec } from "./_tiny.ts";

const SPEC = tinySpec("folder", "eem");
const KEY = "corpus key";

function halfSpec(trainHalf: "even" | "odd"): RunSpec {
  const { data, ...spec } = tinySpec("folder", "eem");
  return { ...spec, data: { ...data, trainWindows: 9, trainHalf } };
}

/** An EEM that takes over the encoder of an autoencoder. */
const FROZEN: RunSpec = { ...SPEC, frozenEncoder: tinySpec("folder", "ae") };
/** A model that learns what another says of every token. */
const TAUGHT = {
  ...SPEC,
  teacher: { run: tinySpec("folder", "eem", { seed: 4 }), estimator: "loss" },
} satisfies RunSpec;
/** A model whose losses are compared with what others say that have not seen the window. */
const CROSS_FITTED = {
  ...tinySpec("folder", "eem", {
    objective: { form: "absolute", scale: 2.5 },
    attentionDropout: 0.1,
    penalties: { l1: 1, l2: 2 },
  }),
  teacher: {
    halves: { even: halfSpec("even"), odd: halfSpec("odd") },
    estimator: "loss",
    transforms: ["shuffled", "min-max"],
  },
} satisfies RunSpec;
/** The same with the truth about a source. */
const TRUE: RunSpec = {
  ...CROSS_FITTED,
  teacher: { exact: "entropy", transforms: ["mean"] },
};
const ESTIMATING: RunSpec = {
  ...SPEC,
  estimates: {
    windows: 3,
    of: ["two-window", "loss"],
    shorter: tinySpec("folder", "ae"),
    onto: { ...SPEC.data, vocabSize: 300 },
  },
};

const NOISED: RunSpec = tinySpec("folder", "eem", {
  qat: {
    method: "noise",
    at: "outputs",
    width: 0.125,
    oneSided: true,
    relative: true,
    modules: ["up", "down"],
  },
});
const ROUNDED: RunSpec = {
  ...tinySpec("folder", "eem", {
    qat: {
      method: "fake-quantization",
      at: "weights",
      quantization: { format: "int8", scaling: "row", outlierThreshold: 6 },
    },
  }),
  rounding: {
    conditions: [{ modules: ["up"], site: "output", quantization: "e4m3fn" }],
    sweep: { quantization: "int8/row", sites: ["output", "weight"] },
    activations: ["down"],
  },
};

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
  else if (typeof value === "boolean") yield [path, !value];
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
    idOf({
      ...eem,
      encoder: transformer,
      decoder: { ...transformer, contextLength: 9 },
      embeddingSize: 4,
    }),
    /^transformer-eem-4-seed-3-[0-9a-f]{12}$/,
  );
});

Deno.test("runId() says both architectures, numbers handed over, and what is frozen", () => {
  const wordsOf = (model: ModelConfig, frozenEncoder?: RunSpec) => {
    const training = { ...SPEC.training, model };
    const spec = { ...SPEC, training, ...(frozenEncoder && { frozenEncoder }) };
    return runId(spec, KEY).replace(/-[0-9a-f]{12}$/, "");
  };
  const { model: eem } = SPEC.training;
  const { model: autoencoder } = tinySpec("folder", "ae").training;
  assert.ok(eem.kind === "augmented" && eem.memory === "embedding");
  assert.ok(autoencoder.kind === "autoencoder");
  const { encoder, decoder } = eem;
  const { embeddingSize: _, ...uncompressed } = eem;
  const lstm = { ...encoder, architecture: "lstm" } as const;
  const transformer = { ...decoder, architecture: "transformer", headCount: 2 } as const;

  assert.equal(wordsOf({ kind: "causal", backbone: lstm }), "lstm-clm-seed-3");
  assert.equal(wordsOf(autoencoder), "mixer-ae-4-seed-3"); // the narrower of widths 4 and 8
  assert.equal(wordsOf({ ...autoencoder, embeddingSize: 3 }), "mixer-ae-3-seed-3");
  assert.equal(wordsOf({ ...autoencoder, encoder: lstm }), "lstm-mixer-ae-4-seed-3");
  assert.equal(wordsOf({ ...eem, decoder: transformer }), "mixer-transformer-eem-2-seed-3");
  assert.equal(wordsOf(uncompressed), "mixer-eem-4-seed-3");
  const zeros = { kind: "augmented", memory: "zeros", decoder: transformer } as const;
  assert.equal(wordsOf(zeros), "transformer-zeros-seed-3");
  assert.equal(wordsOf(eem, SPEC), "mixer-eem-2-frozen-seed-3");
  assert.equal(wordsOf(autoencoder, SPEC), "mixer-ae-4-frozen-seed-3");
  const second = { kind: "second-order", backbone: transformer, shift: true } as const;
  assert.equal(wordsOf(second), "transformer-2eem-seed-3");
});

/** Made before there were frozen encoders, autoencoders and made sequences. */
const EARLIER_IDS = {
  clm: "mixer-clm-seed-3-985449fd6279",
  eem: "mixer-eem-2-seed-3-aefb877ab1a7",
  zeros: "mixer-zeros-seed-3-dc6fc052bb28",
} as const;

Deno.test("runId() keeps the ids of TRAINING_VERSION 1, which published runs have", () => {
  assert.equal(TRAINING_VERSION, 1, "another version: these ids belong to no run any more");
  for (const model of ["clm", "eem", "zeros"] as const) {
    assert.equal(runId(tinySpec("folder", model), KEY), EARLIER_IDS[model]);
  }
  // Made before a teacher could be anything but a run, and before there were transforms.
  const taught: RunSpec = {
    ...tinySpec("folder", "2eem"),
    teacher: { run: tinySpec("folder", "clm"), estimator: "loss" },
    estimates: { windows: 3, of: ["second-order"] },
  };
  assert.equal(runId(taught, KEY), "mixer-2eem-seed-3-49c23101f406");
  assert.equal(runId(FROZEN, KEY), "mixer-eem-2-frozen-seed-3-981b0a6da218");
});

Deno.test("runId() is the same whatever the order of keys", () => {
  const other = reversed(SPEC);
  assert.notEqual(JSON.stringify(other), JSON.stringify(SPEC));
  assert.equal(runId(other, KEY), runId(SPEC, KEY));
});

/** What decides a run's numbers, and the corpus's path, which does not. */
function withoutLabels({ arm: _arm, family: _family, ...rest }: RunSpec): object {
  const { frozenEncoder, teacher, estimates } = rest;
  const { shorter } = estimates ?? {};
  return {
    ...rest,
    ...(frozenEncoder && { frozenEncoder: withoutLabels(frozenEncoder) }),
    ...(teacher && { teacher: withoutRunLabels(teacher) }),
    ...(estimates && {
      estimates: { ...estimates, ...(shorter && { shorter: withoutLabels(shorter) }) },
    }),
  };
}

function withoutRunLabels(teacher: Teacher): object {
  if ("run" in teacher) return { ...teacher, run: withoutLabels(teacher.run) };
  if ("exact" in teacher) return teacher;
  const { even, odd } = teacher.halves;
  return { ...teacher, halves: { even: withoutLabels(even), odd: withoutLabels(odd) } };
}

for (
  const [name, spec, fields] of [
    ["a corpus", SPEC, 30],
    ["made sequences", { ...SPEC, data: tinyLatentSpec().data }, 30],
    ["a frozen encoder", FROZEN, 60],
    ["a teacher", TAUGHT, 50],
    ["a teacher of halves", CROSS_FITTED, 80],
    ["the truth about a source", TRUE, 30],
    ["estimates", ESTIMATING, 60],
    ["noise", NOISED, 35],
    ["rounding in training and at its end", ROUNDED, 40],
  ] as const
) {
  Deno.test(`runId() changes with every field that decides a run's numbers, on ${name}`, () => {
    const ids = new Map([[hashOf(runId(spec, KEY)), "nothing"]]);
    let count = 0;
    for (const [path, changed] of withOneChange(withoutLabels(spec))) {
      if (path.endsWith(".corpus")) continue;
      const id = hashOf(runId({ ...spec, ...changed as Partial<RunSpec> }, KEY));
      assert.equal(ids.get(id), undefined, `changing ${path} gives the id of ${ids.get(id)}`);
      ids.set(id, path);
      count++;
    }
    assert.ok(count > fields, `only ${count} fields`);
    assert.notEqual(hashOf(runId(spec, "another corpus")), hashOf(runId(spec, KEY)));
  });
}

Deno.test("runId() tells runs by what they take from others, and from which part of them", () => {
  const other = FROZEN.frozenEncoder!;
  const specs: RunSpec[] = [
    SPEC,
    FROZEN,
    { ...SPEC, frozenEncoder: SPEC },
    { ...SPEC, teacher: { run: other, estimator: "loss" } },
    { ...SPEC, teacher: { run: other, estimator: "loss", transforms: [] } },
    { ...SPEC, teacher: { run: other, estimator: "loss", transforms: ["mean", "shuffled"] } },
    { ...SPEC, teacher: { run: other, estimator: "loss", transforms: ["shuffled", "mean"] } },
    { ...SPEC, teacher: { halves: { even: other, odd: SPEC }, estimator: "loss" } },
    { ...SPEC, teacher: { halves: { even: SPEC, odd: other }, estimator: "loss" } },
    { ...SPEC, teacher: { exact: "surprisal" } },
    { ...SPEC, teacher: { exact: "corruption" } },
    NOISED,
    tinySpec("folder", "eem", { qat: { method: "noise", at: "outputs", width: 0.125 } }),
    ROUNDED,
    { ...SPEC, rounding: ROUNDED.rounding! },
    { ...SPEC, rounding: {} },
    { ...SPEC, estimates: { windows: 1, of: ["loss"] } },
    { ...SPEC, estimates: { windows: 1, of: ["loss"], shorter: other } },
    { ...SPEC, estimates: { windows: 1, of: ["loss"], onto: SPEC.data } },
  ];
  assert.equal(new Set(specs.map((spec) => hashOf(runId(spec, KEY)))).size, specs.length);
});

Deno.test("neededRuns() are the runs that must be there first", () => {
  assert.deepEqual(neededRuns(SPEC), []);
  assert.deepEqual(neededRuns({ ...SPEC, estimates: { windows: 1, of: ["loss"] } }), []);
  const all = { ...FROZEN, ...TAUGHT, ...ESTIMATING };
  const expected = [all.frozenEncoder, TAUGHT.teacher.run, all.estimates!.shorter];
  const found = neededRuns(all);
  assert.equal(found.length, 3);
  // The runs themselves, by which it is told what each is for.
  found.forEach((source, i) => assert.equal(source, expected[i]));
  for (const one of [FROZEN, TAUGHT, ESTIMATING]) assert.equal(neededRuns(one).length, 1);
  const { even, odd } = CROSS_FITTED.teacher.halves;
  const halves = neededRuns({ ...FROZEN, ...CROSS_FITTED });
  assert.equal(halves.length, 3);
  [FROZEN.frozenEncoder, even, odd].forEach((source, i) => assert.equal(halves[i], source));
  assert.deepEqual(neededRuns(TRUE), []);
});

Deno.test("teacherRuns() are the runs that estimate, none for the truth", () => {
  assert.deepEqual(teacherRuns(undefined), []);
  assert.deepEqual(teacherRuns(TRUE.teacher), []);
  assert.deepEqual(teacherRuns(TAUGHT.teacher), [TAUGHT.teacher.run]);
  const { even, odd } = CROSS_FITTED.teacher.halves;
  assert.deepEqual(teacherRuns(CROSS_FITTED.teacher), [even, odd]);
});

Deno.test("runId() keeps the order of lists", () => {
  const swapped = { ...SPEC, quantizedBits: SPEC.quantizedBits.toReversed() };
  assert.notEqual(runId(swapped, KEY), runId(SPEC, KEY));
});

Deno.test("runId() takes no labels", () => {
  const labels = { arm: "another", family: "name" };
  assert.equal(runId({ ...SPEC, ...labels }, KEY), runId(SPEC, KEY));
  const renamed = { ...FROZEN, frozenEncoder: { ...FROZEN.frozenEncoder!, ...labels } };
  assert.equal(runId(renamed, KEY), runId(FROZEN, KEY));
  const [{ teacher }, { estimates }] = [TAUGHT, ESTIMATING];
  assert.equal(
    runId({ ...SPEC, teacher: { ...teacher, run: { ...teacher.run, ...labels } } }, KEY),
    runId(TAUGHT, KEY),
  );
  const { halves: { even, odd }, ...rest } = CROSS_FITTED.teacher;
  const halves = { even: { ...even, ...labels }, odd: { ...odd, arm: "odd" } };
  assert.equal(
    runId({ ...CROSS_FITTED, teacher: { ...rest, halves } }, KEY),
    runId(CROSS_FITTED, KEY),
  );
  assert.equal(
    runId(
      { ...SPEC, estimates: { ...estimates!, shorter: { ...estimates!.shorter!, ...labels } } },
      KEY,
    ),
    runId(ESTIMATING, KEY),
  );
});

Deno.test("runId() takes the corpus for its content, not for where it lies", () => {
  const moved = { ...SPEC.data, corpus: "elsewhere/corpus.jsonl", textField: "body" };
  assert.equal(runId({ ...SPEC, data: moved }, KEY), runId(SPEC, KEY));
  const onto = { ...ESTIMATING.estimates!.onto!, corpus: "elsewhere", textField: "body" };
  assert.equal(
    runId({ ...SPEC, estimates: { ...ESTIMATING.estimates!, onto } }, KEY),
    runId(ESTIMATING, KEY),
  );
});

Deno.test("runId() changes with TRAINING_VERSION", async () => {
  const url = new URL("../../lib/experiments/run_spec.ts", import.meta.url);
  const source = await Deno.readTextFile(url);
  const raised = source.replace(
    `TRAINING_VERSION = ${TRAINING_VERSION}`,
    `TRAINING_VERSION = ${TRAINING_VERSION + 1}`,
  ).replaceAll(/(?<= from ")\.[^"]+/g, (path) => new URL(path, url).href);
  await withFiles({ "run_spec.ts": raised }, async (folder) => {
    const copy = pathToFileURL(join(folder, "run_spec.ts")).href;
    const module: { runId: typeof runId } = await import(copy);
    assert.notEqual(hashOf(module.runId(SPEC, KEY)), hashOf(runId(SPEC, KEY)));
  });
});

Deno.test("withText() puts another text in the place of a run's, and of those that it needs", () => {
  const teacher = tinySpec("teacher", "clm");
  const own = tinySpec("own", "2eem");
  const spec: RunSpec = {
    ...own,
    teacher: { run: teacher, estimator: "loss" },
    estimates: { windows: 1, of: ["loss"], onto: { ...teacher.data, textField: "body" } },
  };
  const place = { corpus: "finemath", limit: 7 };
  const moved = withText(spec, place);
  assert.deepEqual(moved, {
    ...spec,
    data: { ...own.data, ...place },
    teacher: { run: { ...teacher, data: { ...teacher.data, ...place } }, estimator: "loss" },
    estimates: { windows: 1, of: ["loss"], onto: { ...teacher.data, ...place } },
  });
  assert.deepEqual(withText(moved, { corpus: own.data.corpus }).data, own.data);
  assert.deepEqual(withText(tinyLatentSpec(), place), tinyLatentSpec());
});
