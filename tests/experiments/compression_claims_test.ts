import assert from "node:assert/strict";
import { compressionClaims } from "../../lib/experiments/compression_claims.ts";
import { mean } from "../../lib/measure/mod.ts";
import { createRandom } from "../../lib/random.ts";
import { compressedResults, type MakeFile, ORIGINAL_BYTES, PRESET } from "./_compressed.ts";
import { assertNear } from "./_made_runs.ts";

const CONTEXT = { preset: "small", backend: "tensorflow", git: "0123456789ab" };
const SEEDS = [2, 3, 4];

/** A price of its own for every file. */
const made = (family: string, arm: string, seed: number, overlap: number, embedding = "") => {
  const random = createRandom(7).stream([family, arm, seed, overlap, embedding].join());
  return {
    tokens: 1.5 + random.uniform(),
    embeddings: embedding === "" ? 0 : 0.1 * random.uniform(),
  };
};
const MAKE: MakeFile = ({ family, arm, training: { seed } }, { overlap, embedding }) =>
  made(family, arm, seed, overlap, embedding);
const CLAIMS = compressionClaims(compressedResults(MAKE), PRESET, CONTEXT);

const CLM = "CLM";
const EEM = `EEM, ${PRESET.prose.embeddingSize} numbers`;
const [FOUR, EIGHT] = PRESET.embeddings as [string, string, string];
/** Header, flags, first tokens and the last byte's rest, as the made files have them. */
const REST = (512 + 20 + 1000 + 4) / ORIGINAL_BYTES;
const SCALES = 64 / ORIGINAL_BYTES;

function bpb(family: string, arm: string, seed: number, overlap: number, embedding?: string) {
  const { tokens, embeddings } = made(family, arm, seed, overlap, embedding);
  return tokens + embeddings + REST + (embedding === undefined ? 0 : SCALES);
}

const meanOf = (of: (seed: number) => number) => mean(SEEDS.map(of));

function oursOf(claim: string): number {
  const found = CLAIMS.filter((row) => row.claim === claim);
  assert.equal(found.length, 1, claim);
  return found[0]!.ours!;
}

for (const family of ["prose, mixer", "prose, transformer", "code, transformer"]) {
  Deno.test(`compressionClaims() are differences of whole files: ${family}`, () => {
    const of = (arm: string, overlap: number, embedding?: string) => (seed: number) =>
      bpb(family, arm, seed, overlap, embedding);
    const differences: [claim: string, expected: number][] = [
      [
        "tokens alone, the EEM's take less than the CLM's",
        meanOf((seed) =>
          made(family, CLM, seed, 0).tokens - made(family, EEM, seed, 0, FOUR).tokens
        ),
      ],
      [
        "whole files, the embedding in 4 bits a number: the EEM's are longer",
        meanOf(of(CLM, 0)) - meanOf(of(EEM, 0, FOUR)),
      ],
      [
        "whole files, the embedding in 8 bits a number: the EEM's are longer",
        meanOf(of(CLM, 0)) - meanOf(of(EEM, 0, EIGHT)),
      ],
    ];
    for (const [claim, expected] of differences) {
      assertNear(oursOf(`${family}: ${claim}`), expected, claim, 1e-6);
    }
    const { contextLength } = PRESET.prose.data;
    const overlaps = [0, 1, contextLength / 8, contextLength / 2];
    const best = (arm: string, embedding?: string) =>
      Math.min(...overlaps.map((overlap) => meanOf(of(arm, overlap, embedding))));
    const claim = CLAIMS.find((row) =>
      row.claim.startsWith(`${family}: whole files, each with the best`)
    )!;
    assertNear(claim.ours!, best(CLM) - best(EEM, FOUR), claim.claim, 1e-6);
    assert.equal(claim.verdict, "not comparable");
  });
}

Deno.test("compressionClaims() has the paper's margins in bits per byte of its own text", () => {
  const paper = (words: string) =>
    CLAIMS.find(({ claim }) => claim.startsWith(`prose, transformer: ${words}`))!.paper as number;
  // 0.107, −0.066 and −0.240 nats per token of 3.92 bytes (paper §3.3).
  assertNear(paper("tokens alone"), 0.0394, "raw", 1e-4);
  assertNear(paper("whole files, the embedding in 4"), -0.0243, "4 bits", 1e-4);
  assertNear(paper("whole files, the embedding in 8"), -0.0883, "8 bits", 1e-4);
  for (const { claim, paper } of CLAIMS) {
    if (/mixer:|^code/.test(claim)) assert.equal(paper, null, claim);
  }
});

Deno.test("compressionClaims() names the seeds of each part", () => {
  const code = { ...PRESET.code, seeds: [5, 6, 7] };
  for (
    const { claim, seeds } of compressionClaims(
      compressedResults(MAKE),
      { ...PRESET, code },
      CONTEXT,
    )
  ) {
    assert.deepEqual(seeds, claim.startsWith("code") ? [5, 6, 7] : SEEDS, claim);
  }
});

Deno.test("compressionClaims() judges by the sign that the paper gives", () => {
  // The EEM's tokens take less than the CLM's, its files with the embedding more.
  const results = compressedResults(({ arm, training: { seed } }, { embedding }) => ({
    tokens: (arm === CLM ? 2 : 1.95) + 0.001 * seed,
    embeddings: embedding === undefined ? 0 : embedding === FOUR ? 0.1 : 0.2,
  }));
  const claims = compressionClaims(results, PRESET, CONTEXT);
  const judged = claims.filter(({ experiment }) => experiment === "E17");
  assert.equal(judged.length, 9);
  for (const { claim, verdict } of judged) assert.equal(verdict, "reproduced", claim);
  const turned = compressedResults(({ arm }) => ({ tokens: arm === CLM ? 2 : 2.1, embeddings: 0 }));
  const [raw] = compressionClaims(turned, PRESET, CONTEXT);
  assert.equal(raw!.verdict, "not reproduced");
});
