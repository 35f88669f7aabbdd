/** Which cases of a benchmark are asked for. */

import { UserError } from "../../lib/errors.ts";
import type { SpeedCase } from "../../lib/experiments/mod.ts";

/**
 * The cases that fit the words: `mixer 128` is both mixers of width 128. Words of a sort (family,
 * kind, width) are alternatives; a sort of which there is none takes all.
 *
 * @throws UserError for a word of no sort.
 */
export function selectCases(
  cases: readonly SpeedCase[],
  words: readonly string[],
): readonly SpeedCase[] {
  const sorts: readonly ((one: SpeedCase) => string)[] = [
    ({ family }) => family,
    ({ kind }) => kind.toLowerCase(),
    ({ size }) => `${size.width}`,
  ];
  const wanted = words.map((word) => word.toLowerCase());
  const known = sorts.map((sort) => [...new Set(cases.map(sort))]);
  const unknown = wanted.find((word) => !known.flat().includes(word));
  if (unknown !== undefined) {
    throw new UserError(`no case is called "${unknown}"; words are ${known.flat().join(", ")}`);
  }
  return cases.filter((one) =>
    sorts.every((sort, index) => {
      const among = wanted.filter((word) => known[index]!.includes(word));
      return among.length === 0 || among.includes(sort(one));
    })
  );
}
