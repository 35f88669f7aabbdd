/** What `deno task bench --json` writes, and records of releases in `data/bench`. */

import { readdir, readFile } from "node:fs/promises";
import { join } from "node:path";
import { UserError } from "../errors.ts";
import type { Spread, TurnTimes } from "../measure/mod.ts";
import type { SpeedFamily, SpeedSize } from "./speed_cases.ts";

export type BenchMachine = Readonly<{
  cpu: string;
  logicalCores: number;
  memoryBytes: number;
  os: string;
  kernel: string;
  deno: string;
  tensorflow: string | null;
  backend: string;
  /** Versions by package, of those that are installed. */
  peers: Readonly<Record<string, string>>;
  threads: number;
  /** ISO 8601, UTC. */
  date: string;
  commit: string;
  dirty: boolean;
}>;

/** GFLOP/s of square float32 products, by library and then by their size. */
export type MatmulRates = Readonly<Record<string, Readonly<Record<string, number>>>>;

/** What the numbers were measured on. */
export type BenchFacts = Readonly<{
  machine: BenchMachine;
  /** The best of all rates, and whose it is. */
  matmulPeak: Readonly<{ gflops: number; by: string; rates: MatmulRates }>;
}>;

/** One that took part in steps of a model, taken in turns. */
export type Racer = Readonly<{
  name: string;
  /** Milliseconds of the counted steps, round by round. */
  rounds: readonly (readonly number[])[];
  /** Of all steps, the first included, nats. */
  losses: readonly number[];
  firstStepMs: number;
  /** From the start of the process to the end of its first step. */
  startMs: number;
  peakBytes: number | null;
  medianMs: number;
  tokensPerSecond: number;
  /** The first step less a median one. */
  compileMs: number;
  /** How many times the first racer's milliseconds, round by round. */
  ratio: Spread;
  /** Of the machine's best rate of matrix products. */
  shareOfPeak: number;
}>;

/** Steps of one model by several systems, this library first. */
export type RaceResult = Readonly<{
  bench: string;
  case: string;
  family: SpeedFamily;
  sizes: SpeedSize;
  parameters: number;
  flopsPerStep: number;
  contestants: readonly Racer[];
  /** Between any racer's loss of a step and the first one's, as a share of it. */
  largestLossDifference: number;
}>;

/** Anything else that was timed in turns, this library first. */
export type TimingResult = Readonly<{
  bench: string;
  case: string;
  /** How much is done in the milliseconds of a round: so many of `unit`. */
  amount: number;
  unit: string;
  /** `counted` is how many times the first one's multiply-adds there are, where they are counted. */
  contestants: readonly (TurnTimes & Readonly<{ counted?: number }>)[];
}>;

export type BenchResult = RaceResult | TimingResult;

export type BenchDocument = BenchFacts & Readonly<{ results: readonly BenchResult[] }>;

export function isRace(result: BenchResult): result is RaceResult {
  return "flopsPerStep" in result;
}

/** Throws a UserError that names the value by where it stands, unless it is what is expected. */
type Check = (value: unknown, at: string) => void;

const quoted = (value: unknown) => JSON.stringify(value)?.slice(0, 60) ?? "nothing";

function expect(expected: string, fits: (value: unknown) => boolean): Check {
  return (value, at) => {
    if (!fits(value)) throw new UserError(`${at}: expected ${expected}, found ${quoted(value)}`);
  };
}

const isObject = (value: unknown): value is Record<string, unknown> =>
  typeof value === "object" && value !== null && !Array.isArray(value);
const text = expect("text", (value) => typeof value === "string");
const flag = expect("true or false", (value) => typeof value === "boolean");
const number = expect("a number", Number.isFinite);
const positive = expect(
  "a positive number",
  (value) => Number.isFinite(value) && value as number > 0,
);
const orNull = (check: Check): Check => (value, at) => {
  if (value !== null) check(value, at);
};

/** Fields that are not named may be there as well: later versions add some. */
const object = (fields: Readonly<Record<string, Check>>): Check => (value, at) => {
  expect("an object", isObject)(value, at);
  for (const [name, check] of Object.entries(fields)) {
    check((value as Record<string, unknown>)[name], `${at}.${name}`);
  }
};
const mapOf = (check: Check): Check => (value, at) => {
  expect("an object", isObject)(value, at);
  for (const [name, one] of Object.entries(value as object)) check(one, `${at}.${name}`);
};
const list = (check: Check): Check => (value, at) => {
  expect("a list with something in it", (one) => Array.isArray(one) && one.length > 0)(value, at);
  (value as unknown[]).forEach((one, index) => check(one, `${at}[${index}]`));
};

const spread = object({ median: positive, min: positive, max: positive });
const timed = { name: text, medianMs: positive, ratio: spread };
const racer = object({
  ...timed,
  rounds: list(list(positive)),
  losses: list(number),
  firstStepMs: positive,
  startMs: positive,
  peakBytes: orNull(positive),
  tokensPerSecond: positive,
  compileMs: number,
  shareOfPeak: positive,
});
const race = object({
  bench: text,
  case: text,
  family: expect("mixer or transformer", (one) => one === "mixer" || one === "transformer"),
  sizes: object({
    width: positive,
    layers: positive,
    context: positive,
    batch: positive,
    vocab: positive,
  }),
  parameters: positive,
  flopsPerStep: positive,
  largestLossDifference: number,
  contestants: list(racer),
});
const timing = object({
  bench: text,
  case: text,
  amount: positive,
  unit: text,
  contestants: list(object({ ...timed, rounds: list(positive) })),
});
const document = object({
  machine: object({
    cpu: text,
    logicalCores: positive,
    memoryBytes: positive,
    os: text,
    kernel: text,
    deno: text,
    tensorflow: orNull(text),
    backend: text,
    peers: mapOf(text),
    threads: positive,
    date: expect("a date", (one) => typeof one === "string" && !Number.isNaN(Date.parse(one))),
    commit: text,
    dirty: flag,
  }),
  matmulPeak: object({ gflops: positive, by: text, rates: mapOf(mapOf(positive)) }),
  results: list((value, at) =>
    (isObject(value) && "flopsPerStep" in value ? race : timing)(value, at)
  ),
});

/**
 * A document of benchmarks.
 *
 * @param name Of the file, for errors.
 * @throws UserError with the first thing that is not as it should be, in one line.
 */
export function parseBenchDocument(json: string, name: string): BenchDocument {
  let value: unknown;
  try {
    value = JSON.parse(json);
  } catch {
    throw new UserError(`${name}: expected JSON of deno task bench --json, found something else`);
  }
  document(value, name);
  return value as BenchDocument;
}

/** @throws UserError when there is no such file, and as {@linkcode parseBenchDocument}. */
export async function readBenchDocument(path: string): Promise<BenchDocument> {
  let json: string;
  try {
    json = await readFile(path, "utf8");
  } catch (error) {
    if ((error as { code?: string }).code !== "ENOENT") throw error;
    throw new UserError(`${path}: expected a file of deno task bench --json, found none`);
  }
  return parseBenchDocument(json, path);
}

/**
 * All records of a folder, the newest first.
 *
 * @throws UserError when there is none, and as {@linkcode readBenchDocument}.
 */
export async function readBenchRecords(folder: string): Promise<BenchDocument[]> {
  let names: string[] = [];
  try {
    names = (await readdir(folder)).filter((name) => name.endsWith(".json"));
  } catch (error) {
    if ((error as { code?: string }).code !== "ENOENT") throw error;
  }
  if (names.length === 0) {
    throw new UserError(
      `${folder}: expected a record, found none; deno task bench --json data/bench/NAME.json writes one`,
    );
  }
  const records = await Promise.all(names.map((name) => readBenchDocument(join(folder, name))));
  return records.sort((a, b) => Date.parse(b.machine.date) - Date.parse(a.machine.date));
}
