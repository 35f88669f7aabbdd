import { UserError } from "../errors.ts";
import { requireRows } from "./_layout.ts";
import type { Figure } from "./figure.ts";
import { type CurveOptions, type CurveRow, learningCurves } from "./learning_curves.ts";

/**
 * The lead of every other arm over `baseline`, as baseline − arm at the same seed, x and facet: positive
 * where the arm's loss is lower. Pairing by seed removes what data order does to both.
 *
 * @throws UserError when the baseline has no row to pair with
 */
export function leadsOver(rows: readonly CurveRow[], baseline: string): CurveRow[] {
  const key = (row: CurveRow) => JSON.stringify([row.facet ?? null, row.seed, row.x]);
  const baselineValues = new Map(
    rows.filter((row) => row.arm === baseline).map((row) => [key(row), row.y]),
  );
  return rows.filter((row) => row.arm !== baseline).map((row) => {
    const value = baselineValues.get(key(row));
    if (value === undefined) {
      const where = row.facet === undefined ? "" : `, ${row.facet}`;
      throw new UserError(
        `expected a value of the baseline "${baseline}" at x = ${row.x}, seed ${row.seed}${where} to compare "${row.arm}" with, found none; run the baseline with the same seeds and steps`,
      );
    }
    return { ...row, y: value - row.y };
  });
}

/**
 * How far each arm leads the baseline along x (paper §9 E14): above the zero line it is better.
 *
 * @throws UserError as `leadsOver` and `learningCurves` do
 */
export function differenceCurves(
  rows: readonly CurveRow[],
  options: CurveOptions & { readonly baseline: string },
): Figure {
  const { baseline, references = [], ...rest } = options;
  requireRows(rows.filter((row) => row.arm !== baseline), rest.title, `arms beside "${baseline}"`);
  return learningCurves(leadsOver(rows, baseline), {
    ...rest,
    references: [{ y: 0, label: `${baseline} (no lead)` }, ...references],
  });
}
