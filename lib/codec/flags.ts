/** Yes or no with the frequencies that they have had so far, as both sides of a file count them. */

import type { Interval, RangeDecoder } from "./range_coder.ts";

export type Flags = Readonly<{
  /** The interval of the next flag, which counts from then on. */
  intervalOf(flag: boolean): Interval;
  /** Reads the next flag. */
  read(reader: RangeDecoder): boolean;
}>;

/** Counts that begin with one of each. */
export function createFlags(): Flags {
  let yes = 1;
  let no = 1;
  function intervalOf(flag: boolean): Interval {
    const total = yes + no;
    const interval = flag ? { start: 0, size: yes, total } : { start: yes, size: no, total };
    if (flag) yes++;
    else no++;
    return interval;
  }
  return {
    intervalOf,
    read(reader) {
      const flag = reader.peek(yes + no) < yes;
      reader.read(intervalOf(flag));
      return flag;
    },
  };
}
