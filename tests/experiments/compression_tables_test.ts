import assert from "node:assert/strict";
import {
  bitPartBars,
  bitsByPosition,
  compressorBars,
} from "../../lib/experiments/compression_figures.ts";
import {
  bestFiles,
  fileBpb,
  modelPairs,
  OVERLAPS,
  pairFiles,
  paperBpb,
  predictionGap,
} from "../../lib/experiments/compression_summary.ts";
import {
  accountingTable,
  compressionControls,
  formatPriceTable,
  modelSizeTable,
  overlapTable,
} from "../../lib/experiments/compression_tables.ts";
import {
  compressedResults,
  FIRST_TOKENS,
  type MakeFile,
  ORIGINAL_BYTES,
  PRESET,
  TOKENS,
} from "./_compressed.ts";
import { assertNear } from "./_made_runs.ts";

/** Half a window is best for CLMs, one token for EEMs; mixers are worse. */
const MAKE: MakeFile = ({ family, arm }, { overlap, embedding }) => {
  const isMixer = family.includes("mixer");
  const overlapGain = overlap === 0
    ? 0
    : overlap === 1
    ? 0.1
    : arm === "CLM"
    ? overlap / 400
    : 0.05;
  return {
    tokens: (isMixer ? 2.2 : 2) - overlapGain,
    embeddings: embedding === undefined ? 0 : 0.1 * (1 + PRESET.embeddings.indexOf(embedding)),
  };
};
const RESULTS = compressedResults(MAKE);
const PAIRS = modelPairs(RESULTS, PRESET);

Deno.test("modelPairs() has both kinds of model of every part and family", () => {
  assert.deepEqual(
    PAIRS.map(({ part, family, clm, eem }) => [part, family, clm.arm, eem.arm]),
    [
      ["prose", "mixer", "CLM", `EEM, ${PRESET.prose.embeddingSize} numbers`],
      ["prose", "transformer", "CLM", `EEM, ${PRESET.prose.embeddingSize} numbers`],
      ["code", "transformer", "CLM", `EEM, ${PRESET.code.embeddingSize} numbers`],
    ],
  );
});

Deno.test("pairFiles() and bestFiles() find the files of all seeds", () => {
  const [pair] = PAIRS;
  const { clm, eem } = pairFiles(PRESET, pair!, "one");
  assert.equal(clm.length, PRESET.prose.seeds.length);
  assert.ok(clm.every(({ overlap, embedding }) => overlap === 1 && embedding === null));
  assert.ok(eem.every(({ embedding }) => embedding === PRESET.embeddings[0]));
  assert.equal(bestFiles(PRESET, pair!, "clm").overlap, "half");
  assert.equal(bestFiles(PRESET, pair!, "eem").overlap, "one");
  assert.throws(() => pairFiles(PRESET, pair!, "half", "fp16"), /no file of addresses since 2010/);
});

Deno.test("paperBpb() is (L + n_p b_p ln 2 / N) / ln 2 over the bytes of a token", () => {
  const [, { clm, eem }] = PAIRS as [unknown, (typeof PAIRS)[number]];
  const files = pairFiles(PRESET, PAIRS[1]!, "none");
  const bitsPerToken = 2 * ORIGINAL_BYTES / (TOKENS - FIRST_TOKENS);
  const bytesPerToken = ORIGINAL_BYTES / TOKENS;
  assertNear(paperBpb(files.clm[0]!, clm), bitsPerToken / bytesPerToken, "CLM");
  assertNear(paperBpb(files.eem[0]!, eem), (bitsPerToken + 0.25) / bytesPerToken, "EEM");
});

Deno.test("accountingTable() adds up from the paper's formula to the real file", () => {
  const rows = accountingTable(RESULTS, PRESET);
  assert.equal(rows.length, 6);
  for (const row of rows) {
    const parts = [
      "the paper's formula",
      "tokens not predicted",
      "scales, header",
      "last windows",
    ];
    const sum = parts.reduce((sum, part) => sum + Number(row[part]), 0);
    assertNear(sum, Number(row.predicted), row.model!, 3e-4);
    const gap = 100 * (Number(row["real file"]) / Number(row.predicted) - 1);
    assertNear(gap, Number(row["difference, %"]), row.model!, 0.01);
  }
});

Deno.test("modelSizeTable() adds four bytes a weight", () => {
  for (const row of modelSizeTable(RESULTS, PRESET)) {
    const file = Number(row["file, bytes"]);
    const model = Number(row["weights, bytes"]);
    assertNear(
      Number(row["file and weights, BPB"]),
      8 * (file + model) / ORIGINAL_BYTES,
      row.model!,
      0.01,
    );
    assert.ok(model % 4 === 0 && model > 0);
    assert.equal(
      row["best overlap"],
      row.model!.includes("CLM") ? "half a window overlaps" : "one token overlaps",
    );
  }
});

Deno.test("overlapTable() has the length of files by overlap", () => {
  const [clm] = overlapTable(RESULTS, PRESET);
  assert.match(clm!["no overlap"]!, /^2\.35/);
  assert.match(clm!["one token overlaps"]!, /^2\.25/);
  assert.match(clm!["half a window overlaps"]!, /^2\.19/);
  assert.equal(Object.keys(clm!).length, 6);
});

Deno.test("formatPriceTable() has a line a format, the causal model's first", () => {
  const rows = formatPriceTable(RESULTS, PRESET);
  assert.deepEqual(
    rows.slice(0, 4).map(({ embedding }) => embedding),
    ["none (CLM)", ...PRESET.embeddings],
  );
  assert.equal(rows[1]!["embeddings, BPB"], "0.1000");
  // The whole file: tokens at 2.2 bits a byte, embeddings at 0.1, and the rest.
  const rest = 512 + 64 + 20 + 1000 + 4;
  const bound = (2.3 * ORIGINAL_BYTES + rest) * Math.LN2 / TOKENS;
  assert.ok(rows[1]!["bound, nats a token"]!.startsWith(bound.toFixed(3)));
});

Deno.test("compressionControls() finds files that are longer than predicted", () => {
  const rows = compressionControls(RESULTS);
  const [decoded, gap, coder, growth] = rows.map(({ found }) => found);
  // The made files have 24 bits of 22,000 that nothing predicts.
  assert.deepEqual(rows.map(({ holds }) => holds), ["yes", "no", "yes", "yes"]);
  const files = RESULTS.length / PRESET.prose.seeds.length / 2 * 3 * (5 + 7);
  assert.equal(decoded, `${files} of ${files} files`);
  const file = pairFiles(PRESET, PAIRS[0]!, "none").clm[0]!;
  const largest = Math.max(
    ...PAIRS.flatMap((pair) =>
      OVERLAPS.flatMap((overlap) =>
        Object.values(pairFiles(PRESET, pair, overlap)).flat().map(predictionGap)
      )
    ),
  );
  assert.ok(largest >= predictionGap(file) && largest > 0);
  assert.equal(gap, `largest difference ${(100 * largest).toFixed(3)} %`);
  assert.equal(coder, "at most 0.0100 %");
  assert.equal(growth, "at most 64 bytes");
});

Deno.test("compressorBars() stands models and classical compressors in the order of size", () => {
  const classical = {
    records: [{
      name: "gzip -9",
      version: "1",
      command: "gzip",
      bytes: 3000,
      encodeSeconds: 1,
      decodeSeconds: 1,
    }],
    absent: [],
    primed: [{
      name: "xz -9e",
      version: "1",
      command: "xz",
      bytes: 2500,
      encodeSeconds: 1,
      decodeSeconds: 1,
    }],
    originalBytes: ORIGINAL_BYTES,
  };
  const rows = compressorBars(RESULTS, PRESET, "prose", classical);
  assert.deepEqual(
    rows.map(({ value }) => value),
    rows.map(({ value }) => value).toSorted().reverse(),
  );
  const gzip = rows.find(({ group }) => group === "gzip -9")!;
  assert.deepEqual([gzip.arm, gzip.value], ["no model", 2.4]);
  const primed = rows.find(({ group }) => group === "xz -9e, primed")!;
  assert.deepEqual([primed.arm, primed.value], ["no model, training text read before", 2]);
  assert.equal(rows.length, 6);
  assert.ok(
    rows.every(({ arm, interval }) => arm.startsWith("no model") === (interval === undefined)),
  );
});

Deno.test("bitPartBars() add up to the file", () => {
  const rows = bitPartBars(RESULTS, PRESET);
  const files = pairFiles(PRESET, PAIRS[0]!, "none").eem;
  const parts = rows.filter(({ group }) => group === "prose, mixer EEM");
  assert.equal(parts.length, 4);
  assertNear(parts.reduce((sum, { value }) => sum + value, 0), fileBpb(files[0]!), "parts", 1e-9);
});

Deno.test("bitsByPosition() leaves out positions without tokens", () => {
  const rows = bitsByPosition(RESULTS, PRESET);
  assert.ok(rows.every(({ x, y }) => x > 0 && y === 2 * x));
  const { contextLength } = PRESET.prose.data;
  assert.equal(
    rows.filter(({ facet, arm, seed }) =>
      facet === "prose, mixer" && arm === "CLM" && seed === PRESET.prose.seeds[0]
    ).length,
    contextLength - 1,
  );
});
