import assert from "node:assert/strict";
import { disposeTree, initEngine, memory, tensor } from "../../lib/engine/mod.ts";
import { loadWeights, prepareData, runAll, type RunRecord } from "../../lib/experiments/mod.ts";
import { measureRounding, type RoundingRecord } from "../../lib/experiments/rounding_records.ts";
import type { RunSpec } from "../../lib/experiments/run_spec.ts";
import {
  activationStatistics,
  type Condition,
  quantizedLosses,
  sensitivityConditions,
  temperedLoss,
} from "../../lib/measure/mod.ts";
import { moduleNames } from "../../lib/layers/mod.ts";
import { meanLoss, type ModelConfig, tokenLosses } from "../../lib/models/mod.ts";
import {
  fakeQuantize,
  parseQuantization,
  type QuantizationAwareTraining,
  quantizationHooks,
} from "../../lib/qat/mod.ts";
import { createRandom } from "../../lib/random.ts";
import type { Windows } from "../../lib/text/mod.ts";
import { compileEvaluator, evaluate, type TrainingData } from "../../lib/train/mod.ts";
import { onEveryBackend } from "../_backends.ts";
import { assertClose, normals, read } from "../_numbers.ts";
import { estimated } from "../entropy/_estimated.ts";
import { countFunctions, tensorCounts } from "../measure/_rounded.ts";
import { AUGMENTED, CAUSAL, LENGTH, mixer, PAD, VOCABULARY } from "../models/_tiny.ts";
import { withFiles } from "../text/_temporary.ts";
import { tinyCorpus, tinySpec } from "./_tiny.ts";
import { optionsIn, refuses } from "./_tiny_runs.ts";

await initEngine({ backend: "wasm", log: () => {} });

const BATCH = 3;
const EEM = AUGMENTED["mixer EEM"];
const NOISE = { method: "noise", width: 1, at: "embedding" } as const;
const BACKENDS = { only: ["tensorflow graph", "wasm"] };
const WASM = { only: ["wasm"] };

type Rounding = NonNullable<RunSpec["rounding"]>;

function windows(name: string, count: number, layout: Windows["layout"] = "packed"): Windows {
  const random = createRandom(4).stream(name);
  const ids = Int32Array.from(
    { length: count * LENGTH },
    () => PAD + 1 + random.bits() % (VOCABULARY - PAD - 1),
  );
  const realTokens = new Int32Array(count).fill(LENGTH);
  for (let row = 0; layout === "padded" && row < count; row++) {
    const pads = row % 3;
    ids.fill(PAD, row * LENGTH, row * LENGTH + pads);
    realTokens[row]! -= pads;
  }
  return { contextLength: LENGTH, count, ids, realTokens, byteCounts: realTokens, layout };
}

/** Held-out windows of two full batches and a rest. */
const HELD_OUT = windows("held out", 2 * BATCH + 1);

function dataOf(heldOut: Windows): TrainingData<Windows> {
  const { layout } = heldOut;
  return {
    train: windows("train", 10, layout),
    heldOut,
    padId: layout === "padded" ? PAD : null,
  };
}

function specOf(
  config: ModelConfig,
  rounding: Rounding | undefined,
  training: Partial<RunSpec["training"]> = {},
): RunSpec {
  return {
    ...tinySpec("", "clm", { model: config, batchSize: BATCH, ...training }),
    ...(rounding && { rounding }),
  };
}

async function measured(
  config: ModelConfig,
  rounding: Rounding | undefined,
  training: Partial<RunSpec["training"]> = {},
  heldOut = HELD_OUT,
): Promise<RoundingRecord[]> {
  const data = dataOf(heldOut);
  const model = estimated(config, data.padId);
  return await measureRounding(model, data, specOf(config, rounding, training));
}

/** The loss as trained, which is all that is measured without conditions. */
async function asTrained(
  config: ModelConfig,
  training: Partial<RunSpec["training"]>,
  heldOut = HELD_OUT,
): Promise<number> {
  const [record, ...others] = await measured(config, {}, training, heldOut);
  assert.ok(record?.what === "as trained" && others.length === 0);
  const { lossNats, ...rest } = record;
  assert.deepEqual(rest, { type: "measurement", what: "as trained" });
  return lossNats;
}

async function plainLoss(config: ModelConfig, heldOut = HELD_OUT): Promise<number> {
  const { params, padId } = estimated(config, dataOf(heldOut).padId);
  const evaluator = compileEvaluator(config, { padId }, "graph");
  const { lossNats } = await evaluate(evaluator, params, heldOut, BATCH);
  evaluator.dispose();
  return lossNats;
}

const CONDITIONS: readonly Condition[] = [
  { modules: ["down"], site: "output", quantization: "int2/row" },
  { modules: "all", site: "product", quantization: "llm.int8" },
];
const ROUNDING: Rounding = {
  conditions: CONDITIONS,
  sweep: { quantization: "e3m2", sites: ["weight"] },
  tempered: [null, "e3m2"],
  activations: ["up", "down"],
};

onEveryBackend(
  "measureRounding() has conditions, sweep and activations of held-out text",
  async () => {
    const model = estimated(EEM);
    const sweep = sensitivityConditions(model.params, ROUNDING.sweep!);
    assert.deepEqual(
      sweep.map(({ modules }) => modules),
      moduleNames(model.params).map((module) => [module]),
    );
    const options = { batchSize: BATCH };
    const losses = await Array.fromAsync(
      quantizedLosses(model, HELD_OUT, [...CONDITIONS, ...sweep], options),
    );
    const activations = await activationStatistics(model, HELD_OUT, ["down", "up"], options);
    const { train } = dataOf(HELD_OUT);
    const read = { fitOn: train, windows: HELD_OUT, ...options };
    const hooks = { down: { output: fakeQuantize({ format: "e3m2" }) } };
    const fitted = [
      { quantization: null, ...await temperedLoss(model, read) },
      { quantization: "e3m2", ...await temperedLoss(model, { ...read, hooks }) },
    ];
    const found = await measured(EEM, ROUNDING);
    assert.deepEqual(found, [
      ...losses.map((loss) => ({ type: "measurement", what: "rounded modules", ...loss })),
      ...fitted.map((one) => ({ type: "measurement", what: "tempered", ...one })),
      ...activations.map(({ histogram: { edges, counts }, ...one }) => ({
        type: "measurement",
        what: "activations",
        ...one,
        histogram: { edges: edges.map((edge) => Number(edge.toPrecision(6))), counts },
      })),
    ]);
    assert.deepEqual(activations.map(({ module }) => module), ["down", "up"]);
    const scoredTokens = HELD_OUT.count * (LENGTH - 1);
    const plain = await plainLoss(EEM);
    for (const loss of losses) {
      assert.equal(loss.scoredTokens, scoredTokens);
      assert.ok(Math.abs(loss.lossNats - plain) > 1e-5, `${loss.modules} makes a difference`);
    }
  },
  BACKENDS,
);

onEveryBackend("measureRounding() measures each part alone, and nothing without any", async () => {
  const kindsOf = async (rounding: Rounding | undefined, qat?: QuantizationAwareTraining) => {
    const records = await measured(EEM, rounding, qat === undefined ? {} : { qat });
    return records.map(({ what }) => what);
  };
  assert.deepEqual(await kindsOf(undefined), []);
  assert.deepEqual(await kindsOf(undefined, NOISE), []);
  assert.deepEqual(await kindsOf({}), []);
  assert.deepEqual(await kindsOf({}, NOISE), ["as trained"]);
  const rounded = "rounded modules";
  assert.deepEqual(await kindsOf({ conditions: CONDITIONS }), [rounded, rounded]);
  const { activations, sweep } = ROUNDING;
  assert.deepEqual(await kindsOf({ activations: activations! }), ["activations", "activations"]);
  const moduleCount = moduleNames(estimated(EEM).params).length;
  assert.deepEqual(await kindsOf({ sweep: sweep! }), new Array(moduleCount).fill(rounded));
  assert.deepEqual(await kindsOf({ conditions: CONDITIONS, activations: ["down"] }, NOISE), [
    "as trained",
    rounded,
    rounded,
    "activations",
  ]);
}, WASM);

/** What is rounded in training, and the condition that rounds the same. */
const SAME: readonly (readonly [QuantizationAwareTraining, Condition])[] = [
  [
    { method: "fake-quantization", quantization: parseQuantization("e3m2"), at: "embedding" },
    { modules: ["down"], site: "output", quantization: "e3m2" },
  ],
  [
    { method: "fake-quantization", quantization: parseQuantization("int3/channel"), at: "outputs" },
    { modules: "all", site: "output", quantization: "int3/channel" },
  ],
  [
    {
      method: "fake-quantization",
      quantization: parseQuantization("int3/row"),
      at: "weights",
      modules: ["up", "decoder.blocks.0.mix"],
    },
    { modules: ["up", "decoder.blocks.0.mix"], site: "weight", quantization: "int3/row" },
  ],
];

/** The loss as trained, and under a condition. */
async function bothLosses(
  config: ModelConfig,
  qat: QuantizationAwareTraining,
  condition: Condition,
  heldOut: Windows,
): Promise<[trained: number, rounded: number]> {
  const records = await measured(config, { conditions: [condition] }, { qat }, heldOut);
  const losses = records.flatMap((record) => "lossNats" in record ? [record.lossNats] : []);
  assert.equal(losses.length, 2);
  return [losses[0]!, losses[1]!];
}

for (const layout of ["packed", "padded"] as const) {
  onEveryBackend(`measureRounding() as trained rounds as conditions do, ${layout}`, async () => {
    const heldOut = windows("held out", 2 * BATCH, layout);
    const plain = await plainLoss(EEM, heldOut);
    for (const [qat, condition] of SAME) {
      const [trained, rounded] = await bothLosses(EEM, qat, condition, heldOut);
      assertClose([trained], [rounded], 2e-6, qat.at);
      assert.ok(Math.abs(trained - plain) > 1e-3, `${qat.at} makes a difference`);
    }
  }, BACKENDS);
}

onEveryBackend("measureRounding() as trained gives second-order models their values", async () => {
  const config: ModelConfig = { kind: "second-order", backbone: mixer(LENGTH), shift: false };
  const heldOut = { ...HELD_OUT, values: normals(HELD_OUT.count * LENGTH, 8) };
  const [trained, rounded] = await bothLosses(config, ...SAME[1]!, heldOut);
  assertClose([trained], [rounded], 2e-6, "squared error");
}, WASM);

const AT: readonly QuantizationAwareTraining[] = [
  NOISE,
  { ...NOISE, at: "residual" },
  { ...NOISE, oneSided: true },
  { ...NOISE, relative: true },
  { ...NOISE, at: "outputs", modules: ["down"], width: 2 },
  { ...NOISE, at: "weights" },
];

onEveryBackend(
  "measureRounding() as trained adds training's noise, the same every time",
  async () => {
    const plain = await plainLoss(EEM);
    const losses: number[] = [];
    for (const qat of AT) {
      const loss = await asTrained(EEM, { qat, seed: 3 });
      assert.equal(await asTrained(EEM, { qat, seed: 3 }), loss, "again");
      assert.notEqual(await asTrained(EEM, { qat, seed: 4 }), loss, "of another seed");
      assert.ok(Math.abs(loss - plain) > 1e-4, `${loss} and ${plain}`);
      losses.push(loss);
    }
    assert.equal(new Set(losses).size, AT.length);
    // As good as none.
    const slight = { ...NOISE, width: 1e-6 };
    assertClose([await asTrained(EEM, { qat: slight })], [plain], 2e-6, "slight noise");
  },
  WASM,
);

onEveryBackend(
  "measureRounding() as trained has noise at modules of models without embedding",
  async () => {
    const config = CAUSAL["transformer CLM"];
    const qat = { ...NOISE, at: "outputs" } as const;
    const loss = await asTrained(config, { qat });
    assert.ok(Math.abs(loss - await plainLoss(config)) > 1e-3);
  },
  WASM,
);

onEveryBackend(
  "measureRounding() as trained has other noise in each batch, and not training's",
  async () => {
    const first = windows("held out", BATCH);
    const twice: Windows = {
      ...first,
      count: 2 * BATCH,
      ids: Int32Array.from([...first.ids, ...first.ids]),
      realTokens: new Int32Array(2 * BATCH).fill(LENGTH),
      byteCounts: new Int32Array(2 * BATCH).fill(LENGTH),
    };
    const seed = 3;
    const [once, both] = [
      await asTrained(EEM, { qat: NOISE, seed }, first),
      await asTrained(EEM, { qat: NOISE, seed }, twice),
    ];
    assertClose(
      [await plainLoss(EEM, twice)],
      [await plainLoss(EEM, first)],
      1e-6,
      "without noise",
    );
    assert.ok(Math.abs(both - once) > 1e-3, `${once} and ${both}`);

    const { params, padId } = estimated(EEM);
    const key = createRandom(seed).stream("noise").bits() | 0;
    for (let step = 0; step < 3; step++) {
      const hooks = quantizationHooks(NOISE, params, tensor([key, step], [2], "int32"));
      const idsBN = tensor(first.ids, [BATCH, LENGTH], "int32");
      const trained = await read(meanLoss(tokenLosses(EEM, params, idsBN, { padId, ...hooks })));
      assert.ok(Math.abs(trained[0]! - once) > 1e-4, `step ${step}`);
    }
  },
  BACKENDS,
);

onEveryBackend("measureRounding() frees its tensors", async () => {
  const model = estimated(EEM);
  const data = dataOf(HELD_OUT);
  const spec = specOf(EEM, ROUNDING, { qat: NOISE });
  await measureRounding(model, data, spec);
  const before = tensorCounts();
  await measureRounding(model, data, spec);
  assert.deepEqual(tensorCounts(), before);
}, BACKENDS);

onEveryBackend("measureRounding() frees its compiled functions", async () => {
  const model = estimated(EEM);
  const spec = specOf(EEM, { conditions: CONDITIONS, activations: ["down"] }, { qat: NOISE });
  const counting = countFunctions();
  await measureRounding(model, dataOf(HELD_OUT), spec);
  const [made, freed] = counting.stop();
  assert.ok(made > 3);
  assert.equal(freed, made);
}, { only: ["tensorflow graph"] });

/** Trained with noise, and rounded at the end. */
function roundedSpec(folder: string): RunSpec {
  return { ...tinySpec(folder, "eem", { qat: NOISE }), quantizedBits: [], rounding: ROUNDING };
}

/** Records without what a clock decides. */
function timeless(records: readonly RunRecord[]): unknown[] {
  return records.map((record) => ({ ...record, tokensPerSecond: undefined }));
}

onEveryBackend(
  "runAll() records what rounding costs the trained weights, also when resumed",
  () =>
    withFiles(tinyCorpus(), async (folder) => {
      const spec = roundedSpec(folder);
      const options = optionsIn(folder);
      const [run] = await runAll([spec], options);
      const { training } = await prepareData(spec.data, options);
      const params = await loadWeights(options.folders, run!.config);
      const model = { config: spec.training.model, params, padId: null };
      const expected = await measureRounding(model, training, spec);
      disposeTree(params);
      const kinds = expected.map(({ what }) => what);
      assert.deepEqual([kinds.at(0), kinds.at(1), kinds.at(-1)], [
        "as trained",
        "rounded modules",
        "activations",
      ]);
      const found = run!.records.filter((record) =>
        record.type === "measurement" && record.what !== "foreign embedding"
      );
      assert.deepEqual(found, expected);
      assert.equal(run!.records.at(-1)!.type, "end");

      const [stored] = await runAll([spec], options);
      assert.equal(stored!.source, "stored");
      assert.deepEqual(stored!.records, run!.records);

      await Deno.remove(options.folders.runs, { recursive: true });
      const controller = new AbortController();
      const onProgress = () => controller.abort();
      await assert.rejects(
        runAll([spec], { ...options, signal: controller.signal, onProgress }),
        /stopped mixer eem/,
      );
      const [resumed] = await runAll([spec], options);
      assert.deepEqual(timeless(resumed!.records), timeless(run!.records));
    }),
  WASM,
);

onEveryBackend(
  "runAll() frees the tensors of its checks and of rounding",
  () =>
    withFiles(tinyCorpus(), async (folder) => {
      await runAll([roundedSpec(folder)], optionsIn(folder));
      const before = memory().numTensors;
      await runAll([roundedSpec(folder)], { ...optionsIn(folder), fresh: true });
      assert.equal(memory().numTensors, before);
    }),
  WASM,
);

onEveryBackend(
  "runAll() refuses what cannot be rounded before it trains anything",
  () =>
    withFiles(tinyCorpus(), async (folder) => {
      const before = memory().numTensors;
      const spec = tinySpec(folder, "eem");
      const rounded = (rounding: Rounding) => ({ ...spec, rounding });
      const ofCondition = (changes: Partial<Condition>) =>
        rounded({ conditions: [{ ...CONDITIONS[0]!, ...changes }] });
      await refuses(folder, [
        [ofCondition({ quantization: "int1" }), /^quantization: expected fp16, .*found "int1"$/],
        [
          ofCondition({ modules: ["middle"] }),
          /^module middle: expected one of encoder\.embedding, /,
        ],
        [ofCondition({ modules: [] }), /^modules: expected the name of one or more/],
        [ofCondition({ site: "bias" as "weight" }), /^site: expected one of output, .*found bias$/],
        [
          ofCondition({ modules: ["encoder.embedding"], site: "input" }),
          /^module encoder\.embedding: expected site output or weight, found input/,
        ],
        [
          rounded({ sweep: { quantization: "e4m3", sites: ["output"] } }),
          /^quantization: expected fp16, .*found "e4m3"$/,
        ],
        [
          rounded({ activations: ["middle"] }),
          /^module middle: expected one of encoder\.embedding, /,
        ],
        [
          { ...tinySpec(folder, "clm"), rounding: { activations: ["down"] } },
          /^module down: expected one of embedding, /,
        ],
      ]);
      assert.equal(memory().numTensors, before);
    }),
  WASM,
);
