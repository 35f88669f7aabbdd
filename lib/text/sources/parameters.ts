/** Parameters of a source's JSON description, checked one by one. */

import { UserError } from "../../errors.ts";
import type { DrawnTables } from "./distribution.ts";

export type JsonObject = Readonly<Record<string, unknown>>;

/** Gives the value of a parameter, found at `path`, or throws a `UserError` that names it. */
export type Parameter<T> = (value: unknown, path: string) => T;

/** A parameter for every field of T, in the order in which a description is stored. */
export type ParametersOf<T> = { readonly [Key in keyof T]-?: Parameter<T[Key]> };

/** What the descriptions of all kinds have. */
export type Extent = Readonly<{
  /** Tokens in all, for training and held out. */
  length: number;
  /** Decides the sequences that are drawn, and nothing else. */
  seed: number;
}>;

/** Probabilities may be written with six digits. */
const SUM_TOLERANCE = 1e-5;
/** Numbers in a table that is drawn: enough for 64 symbols after each pair of them. */
const MOST_ENTRIES = 2 ** 18;
const MOST_TOKENS = 2 ** 28;

/**
 * The fields of an object, each as its parameter has it, in the parameters' order.
 *
 * @throws UserError for the first field that is unknown, missing or wrong.
 */
export function readParameters<T>(object: JsonObject, parameters: ParametersOf<T>): T {
  for (const name of Object.keys(object)) {
    if (Object.hasOwn(parameters, name)) continue;
    const known = Object.keys(parameters).join(", ");
    throw new UserError(`${name}: unknown field; known here are ${known}`);
  }
  const entries = Object.entries<Parameter<unknown>>(parameters);
  return Object.fromEntries(
    entries.map(([name, parameter]) => [name, parameter(object[name], name)]),
  ) as T;
}

/** A value that has been looked at already, since it says which parameters there are. */
export function fixed<Kind extends string>(name: Kind): Parameter<Kind> {
  return () => name;
}

/** An integer from `least` to `most`; `byDefault` where there is none. */
export function integer(
  { least = -Infinity, most = Infinity, byDefault }: {
    least?: number;
    most?: number;
    byDefault?: number;
  } = {},
): Parameter<number> {
  return (value = byDefault, path) => {
    if (Number.isSafeInteger(value) && value as number >= least && value as number <= most) {
      return value as number;
    }
    const range = least === -Infinity
      ? ""
      : most === Infinity
      ? ` of ${least} or more`
      : ` from ${least} to ${most}`;
    throw refusal(path, `an integer${range}`, value);
  };
}

/** A number from 0 to 1. */
export const SHARE: Parameter<number> = (value, path) => {
  if (typeof value === "number" && value >= 0 && value <= 1) return value;
  throw refusal(path, "a number from 0 to 1", value);
};

const POSITIVE: Parameter<number> = (value, path) => {
  if (typeof value === "number" && value > 0 && value < Infinity) return value;
  throw refusal(path, "a positive number", value);
};

export const SYMBOLS = integer({ least: 2 });

export const DRAWN_TABLES: ParametersOf<DrawnTables> = {
  concentration: POSITIVE,
  tableSeed: integer({ byDefault: 0 }),
};

export const EXTENT: ParametersOf<Extent> = {
  length: integer({ least: 1, most: MOST_TOKENS }),
  seed: integer(),
};

/** A list of `least` or more probabilities. */
export function distribution(least: number): Parameter<readonly number[]> {
  return (value, path) => {
    if (!Array.isArray(value) || value.length < least) {
      throw refusal(path, `a list of ${least} probabilities or more`, value);
    }
    value.forEach((one, index) => SHARE(one, `${path}[${index}]`));
    const sum = value.reduce((a: number, b: number) => a + b, 0);
    if (Math.abs(sum - 1) <= SUM_TOLERANCE) return value;
    throw new UserError(
      `${path}: expected probabilities with a sum of 1, found one of ${Number(sum.toPrecision(8))}`,
    );
  };
}

/** A list of distributions of equal size, each over `least` symbols or more. */
export function table(least: number): Parameter<readonly (readonly number[])[]> {
  return (value, path) => {
    if (!Array.isArray(value) || value.length === 0) {
      throw refusal(path, "a list of rows of probabilities", value);
    }
    const rows = value.map((row, index) => distribution(least)(row, `${path}[${index}]`));
    const columns = rows[0]!.length;
    const uneven = rows.findIndex((row) => row.length !== columns);
    if (uneven < 0) return rows;
    throw new UserError(
      `${path}[${uneven}]: expected ${columns} probabilities, as in ${path}[0], found ` +
        `${rows[uneven]!.length}`,
    );
  };
}

/**
 * Whether a description spells its tables out, or says how they are drawn.
 *
 * @throws UserError when it does neither.
 */
export function hasTables(object: JsonObject, ...names: readonly string[]): boolean {
  if (names.some((name) => object[name] !== undefined)) return true;
  if (object.concentration !== undefined) return false;
  throw new UserError(
    `expected ${names.join(" and ")}, or a concentration to draw with, found neither`,
  );
}

/** @throws UserError for a drawn table that would be too large. */
export function checkTableSize(name: string, rows: number, columns: number): void {
  if (rows * columns <= MOST_ENTRIES) return;
  throw new UserError(
    `${name}: expected a table of at most ${MOST_ENTRIES} probabilities to be drawn, found ` +
      `${rows} rows of ${columns}; use fewer symbols`,
  );
}

export function refusal(path: string, expected: string, found: unknown): UserError {
  return new UserError(
    `${path}: expected ${expected}, found ${JSON.stringify(found)?.slice(0, 60) ?? "nothing"}`,
  );
}
