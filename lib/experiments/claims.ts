/**
 * The claims of the paper against what ran here: one row a claim. Each notebook writes its rows to
 * `<folder>/<notebook>.json`; together they are `out/results.json`.
 */
import { basename, join } from "node:path";
import { UserError } from "../errors.ts";
import { writeFileAtomically } from "../files.ts";
import type { Claim } from "../figures/claims_table.ts";
import type { Verdict } from "../measure/mod.ts";

/** The verdicts a row may carry; `judgeClaim` says when each holds. */
export const verdicts = [
  "reproduced",
  "trend only",
  "not reproduced",
  "not comparable",
] as const satisfies readonly Verdict[];

/** A claim and how it was measured: a row of `out/results.json`. */
export interface ClaimRow extends Claim {
  /** What was measured, e.g. `held-out loss, CLM − EEM`. */
  readonly metric: string;
  readonly seeds: readonly number[];
  readonly preset: string;
  /** The engine's backend, e.g. `tensorflow`. */
  readonly backend: string;
  /** The commit that ran, `-dirty` if files differed from it. */
  readonly git: string;
}

type Check = readonly [expected: string, holds: (value: unknown) => boolean];

const isText: Check = [
  "a text that is not empty",
  (value) => typeof value === "string" && value.trim() !== "",
];
const isNumber = (value: unknown) => typeof value === "number" && Number.isFinite(value);
const checks: Readonly<Record<keyof ClaimRow, Check>> = {
  experiment: isText,
  claim: isText,
  metric: isText,
  unit: ["a text", (value) => typeof value === "string"],
  paper: [
    "a number, a text or null",
    (value) => value === null || typeof value === "string" || isNumber(value),
  ],
  ours: ["a finite number or null", (value) => value === null || isNumber(value)],
  interval: [
    "[low, high] with low ≤ high, or null",
    (value) =>
      value === null || (Array.isArray(value) && value.length === 2 && value.every(isNumber) &&
        value[0] <= value[1]),
  ],
  seeds: [
    "a list of whole numbers",
    (value) => Array.isArray(value) && value.every((seed) => Number.isSafeInteger(seed)),
  ],
  preset: isText,
  verdict: [
    `one of ${verdicts.join(", ")}`,
    (value) => (verdicts as readonly unknown[]).includes(value),
  ],
  backend: isText,
  git: isText,
};

/**
 * Checks that a value is a list of claim rows: every field there, of its type, and no other.
 * @param source Names the rows in the error, e.g. the file they were read from.
 * @throws UserError naming the row, the field, what was expected and what was found.
 */
export function validateClaims(value: unknown, source: string): readonly ClaimRow[] {
  if (!Array.isArray(value)) {
    throw new UserError(`${source}: expected a list of claims, found ${describe(value)}`);
  }
  value.forEach((row: unknown, index) => {
    const where = `${source}, claim ${index + 1}`;
    if (typeof row !== "object" || row === null || Array.isArray(row)) {
      throw new UserError(`${where}: expected an object, found ${describe(row)}`);
    }
    const fields = row as Readonly<Record<string, unknown>>;
    for (const [name, [expected, holds]] of Object.entries(checks)) {
      if (!holds(fields[name])) {
        throw new UserError(
          `${where}: ${name} must be ${expected}, found ${describe(fields[name])}`,
        );
      }
    }
    const unknown = Object.keys(fields).find((name) => !Object.hasOwn(checks, name));
    if (unknown !== undefined) {
      throw new UserError(
        `${where}: unknown field "${unknown}"; a claim has ${Object.keys(checks).join(", ")}`,
      );
    }
  });
  return value as readonly ClaimRow[];
}

function describe(value: unknown): string {
  return value === undefined ? "nothing" : JSON.stringify(value) ?? String(value);
}

/**
 * Writes one notebook's rows to `<folder>/<notebook>.json`, replacing those of an earlier run. The
 * file is written whole or not at all.
 * @param folder e.g. `../out/results`, from a notebook.
 * @param notebook The notebook's name without `.ipynb`.
 */
export async function writeClaims(
  folder: string,
  notebook: string,
  rows: readonly ClaimRow[],
): Promise<void> {
  if (notebook === "" || notebook !== basename(notebook, ".ipynb")) {
    throw new UserError(
      `expected a notebook's name without folder and ending, found "${notebook}"`,
    );
  }
  const path = join(folder, `${notebook}.json`);
  validateClaims(rows, `claims of ${notebook}`);
  await writeFileAtomically(path, `${JSON.stringify(rows, null, 2)}\n`);
}

/**
 * Reads the rows of every `.json` file in a folder, by file name; none when there is no folder.
 * @param preset Rows of other presets are left out: notebooks run by hand, or before, leave theirs.
 * @throws UserError when a file is no JSON or not a list of claims.
 */
export async function readClaims(folder: string, preset: string): Promise<readonly ClaimRow[]> {
  const names: string[] = [];
  try {
    for await (const entry of Deno.readDir(folder)) {
      if (entry.isFile && entry.name.endsWith(".json")) names.push(entry.name);
    }
  } catch (error) {
    if (!(error instanceof Deno.errors.NotFound)) throw error;
  }
  const rows: ClaimRow[] = [];
  for (const name of names.sort()) {
    rows.push(...parseClaims(await Deno.readTextFile(join(folder, name)), join(folder, name)));
  }
  return rows.filter((row) => row.preset === preset);
}

function parseClaims(text: string, source: string): readonly ClaimRow[] {
  let value: unknown;
  try {
    value = JSON.parse(text);
  } catch {
    throw new UserError(`${source} is not JSON: delete it and run its notebook again`);
  }
  return validateClaims(value, source);
}
