import assert from "node:assert/strict";
import {
  absentLines,
  bitsTable,
  comparisonTable,
  formatBpb,
  formatBytes,
  formatSpeed,
} from "../../lib/cli/_codec_tables.ts";

const BITS = {
  header: 512,
  scales: 128,
  embeddings: 55_296,
  flags: 11.6,
  firstTokens: 576,
  tokens: 989_025.8,
  raw: 0,
  ending: -5.4,
};

type Report = Parameters<typeof bitsTable>[0];

const REPORT = {
  bits: BITS,
  embedding: "int4/channel",
  fileBytes: 130_693,
  originalBytes: 451_095,
} as Report;

Deno.test("bitsTable() has a row for every part that has bits, and their sum", () => {
  assert.deepEqual(bitsTable(REPORT).split("\n"), [
    "where the bits went            bits       %  bits/byte",
    "────────────────────────  ─────────  ──────  ─────────",
    "header                          512    0.05     0.0011",
    "scales of the embeddings        128    0.01     0.0003",
    "embeddings, int4/channel     55,296    5.29     0.1226",
    "flags of windows                 12    0.00     0.0000",
    "first tokens                    576    0.06     0.0013",
    "tokens, by the model        989,026   94.59     2.1925",
    "ending                           -5    0.00     0.0000",
    "the file                  1,045,544  100.00     2.3178",
  ]);
  const nothing = Object.fromEntries(Object.keys(BITS).map((part) => [part, 0])) as typeof BITS;
  const empty = { ...REPORT, bits: { ...nothing, header: 512 }, fileBytes: 64, originalBytes: 0 };
  assert.deepEqual(bitsTable(empty).split("\n").slice(2), [
    "header                512  100.00          –",
    "the file              512  100.00          –",
  ]);
});

Deno.test("comparisonTable() has the smallest file first, with and without the model", () => {
  const record = (name: string, bytes: number, encodeSeconds: number) => ({
    ...{ name, version: "1.0", command: name, bytes, encodeSeconds, decodeSeconds: 0.001 },
  });
  const classical = { records: [record("gzip -9", 161_353, 0.03), record("xz -9e", 132_460, 0.2)] };
  const name = "transformer-eem-4-seed-1-d9dfca999e4c";
  const model = {
    name,
    bytes: 1_130_693,
    modelBytes: 50_000,
    encodeSeconds: 15,
    decodeSeconds: null,
  };
  assert.deepEqual(comparisonTable(classical, [model], 451_095).split("\n"), [
    "compressor                                 bytes     BPB    with  encode  decode",
    "                                                           model    KB/s    KB/s",
    "─────────────────────────────────────  ─────────  ──────  ──────  ──────  ──────",
    "xz -9e                                   132,460   2.349   2.349    2260  451000",
    "gzip -9                                  161,353   2.862   2.862   15000  451000",
    "transformer-eem-4-seed-1-d9dfca999e4c  1,130,693  20.052  20.939      30       –",
  ]);
  assert.deepEqual(
    comparisonTable(classical, [], 0).split("\n"),
    [
      "compressor    bytes  BPB  encode  decode",
      "                            KB/s    KB/s",
      "──────────  ───────  ───  ──────  ──────",
      "xz -9e      132,460    –       –       –",
      "gzip -9     161,353    –       –       –",
    ],
  );
});

Deno.test("absentLines() names compressors and each of their packages once", () => {
  assert.deepEqual(absentLines({ absent: [] }), []);
  const absent = ["o=32", "o=10"].map((name) => ({ name, debianPackage: "7zip" }));
  assert.deepEqual(absentLines({ absent }), [
    "not on this machine: o=32, o=10 (apt install 7zip)",
  ]);
});

Deno.test("formatSpeed(), formatBpb() and formatBytes() write numbers for readers", () => {
  const speeds = [[2e9, 1], [123e6, 1], [7e6, 1], [30_000, 1], [900, 1], [9, 1], [0, 1]] as const;
  assert.deepEqual(speeds.map(([bytes, seconds]) => formatSpeed(bytes, seconds)), [
    "2000000",
    "123000",
    "7000",
    "30",
    "0.90",
    "<0.01",
    "–",
  ]);
  assert.deepEqual([formatBpb(30, 120), formatBpb(64, 0)], ["2.000", "–"]);
  assert.deepEqual([0, 1, 1234].map(formatBytes), ["0 bytes", "1 byte", "1,234 bytes"]);
});
