import assert from "node:assert/strict";
import { join } from "node:path";
import {
  type ClaimRow,
  readClaims,
  validateClaims,
  verdicts,
  writeClaims,
} from "../../lib/experiments/claims.ts";
import { UserError } from "../../lib/errors.ts";

const row: ClaimRow = {
  experiment: "E13",
  claim: "the augmented model is ahead",
  metric: "held-out loss",
  unit: "nats/token",
  paper: 0.3,
  ours: 0.1,
  interval: [0.05, 0.15],
  seeds: [0, 1, 2],
  preset: "quick",
  verdict: "reproduced",
  backend: "tensorflow",
  git: "0123456",
};

Deno.test("validateClaims() takes every verdict and the nulls that are allowed", () => {
  const rows = verdicts.map((verdict) => ({ ...row, verdict }));
  assert.equal(validateClaims(rows, "x").length, 4);
  validateClaims([{ ...row, paper: null, ours: null, interval: null, seeds: [] }], "x");
  validateClaims([{ ...row, paper: "> 1", unit: "" }], "x");
});

Deno.test("validateClaims() names the row and the field that is wrong", () => {
  const wrong: readonly (readonly [keyof ClaimRow, unknown])[] = [
    ["experiment", ""],
    ["claim", 3],
    ["metric", undefined],
    ["unit", null],
    ["paper", NaN],
    ["ours", Infinity],
    ["ours", "0.1"],
    ["interval", [0.2, 0.1]],
    ["interval", [0.1]],
    ["seeds", 3],
    ["seeds", [0.5]],
    ["preset", ""],
    ["verdict", "Reproduced"],
    ["backend", null],
    ["git", " "],
  ];
  for (const [name, value] of wrong) {
    assert.throws(() => validateClaims([row, { ...row, [name]: value }], "file"), (error) => {
      assert.ok(error instanceof UserError);
      assert.match(error.message, new RegExp(`^file, claim 2: ${name} must be`));
      return true;
    });
  }
  assert.throws(() => validateClaims([{ ...row, extra: 1 }], "file"), /unknown field "extra"/);
  assert.throws(() => validateClaims({ rows: [] }, "file"), /expected a list/);
  assert.throws(() => validateClaims([null], "file"), /claim 1: expected an object/);
});

Deno.test("writeClaims() and readClaims() keep rows by notebook, replacing older ones", async () => {
  const folder = join(Deno.makeTempDirSync(), "results");
  try {
    assert.deepEqual(await readClaims(folder, row.preset), []);
    const second = { ...row, experiment: "E14" };
    await writeClaims(folder, "01_b", [second]);
    await writeClaims(folder, "00_a", [second, row]);
    await writeClaims(folder, "00_a", [row]);
    assert.deepEqual(await readClaims(folder, row.preset), [row, second]);
    const other = { ...row, preset: "paper" };
    await writeClaims(folder, "01_b", [other, second]);
    assert.deepEqual(await readClaims(folder, row.preset), [row, second]);
    assert.deepEqual(await readClaims(folder, "paper"), [other]);
    assert.deepEqual([...Deno.readDirSync(folder)].map((entry) => entry.name).toSorted(), [
      "00_a.json",
      "01_b.json",
    ]);
    await assert.rejects(writeClaims(folder, "../x", [row]), UserError);
    await assert.rejects(writeClaims(folder, "x.ipynb", [row]), UserError);
    await assert.rejects(writeClaims(folder, "x", [{ ...row, ours: NaN }]), /ours must be/);
    Deno.writeTextFileSync(join(folder, "02_c.json"), "[");
    await assert.rejects(readClaims(folder, row.preset), /02_c\.json is not JSON/);
  } finally {
    Deno.removeSync(join(folder, ".."), { recursive: true });
  }
});
