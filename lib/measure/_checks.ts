import { UserError } from "../errors.ts";

/** Returns `value`, or throws {@linkcode UserError} when it is NaN or infinite. */
export function requireFinite(what: string, value: number): number {
  if (!Number.isFinite(value)) {
    throw new UserError(
      `${what} must be a finite number, found ${value}; check where it comes from`,
    );
  }
  return value;
}

/** Returns `value`, or throws {@linkcode UserError} when it is not finite and above zero. */
export function requirePositive(what: string, value: number): number {
  if (!(requireFinite(what, value) > 0)) {
    throw new UserError(`${what} must be above zero, found ${value}; check where it comes from`);
  }
  return value;
}

/** Returns `value`, or throws {@linkcode UserError} when it is not a whole number ≥ `least`. */
export function requireCount(what: string, value: number, least: number): number {
  if (!Number.isSafeInteger(value) || value < least) {
    throw new UserError(`${what} must be a whole number of at least ${least}, found ${value}`);
  }
  return value;
}

/** Returns `level`, or throws {@linkcode UserError} when it is not strictly between 0 and 1. */
export function requireLevel(level: number): number {
  if (!(level > 0 && level < 1)) {
    throw new UserError(
      `the level of an interval must lie between 0 and 1, found ${level}; use 0.95 for 95 %`,
    );
  }
  return level;
}

/** Throws {@linkcode UserError} unless there are at least `least` values, all of them finite. */
export function requireValues(what: string, values: ArrayLike<number>, least: number): void {
  if (values.length < least) {
    throw new UserError(
      `${what}: expected at least ${least} values, found ${values.length}; run more seeds or samples`,
    );
  }
  for (let i = 0; i < values.length; i++) {
    if (!Number.isFinite(values[i])) {
      throw new UserError(
        `${what}: value ${i} is ${
          values[i]
        }, expected finite numbers; leave failed runs out explicitly`,
      );
    }
  }
}

/** Throws {@linkcode UserError} unless `x` and `y` are equally long, long enough and finite. */
export function requirePairs(
  what: string,
  x: ArrayLike<number>,
  y: ArrayLike<number>,
  least: number,
): void {
  if (x.length !== y.length) {
    throw new UserError(
      `${what}: expected pairs, found ${x.length} and ${y.length} values; give both sides the same seeds`,
    );
  }
  requireValues(what, x, least);
  requireValues(what, y, least);
}
