/** Which windows of which text a run is trained and evaluated on. */

import type { Layout, TextUnit } from "../text/mod.ts";

/** A fixed part of the training windows (paper §5.2); all of them without these. */
export type TrainSubset = Readonly<{
  /** How many windows, at even distances over all there are. */
  trainWindows?: number;
  /** Every other one of those: for models that rate what they have not seen. */
  trainHalf?: "even" | "odd";
  /** All but the subset that has this number of windows: for the same. */
  trainWithout?: number;
}>;

/** Where a text is, and how much of it is read. */
export type TextPlace = Readonly<{
  /** A source by name (`sotu`, `fineweb-edu`, `hf:…`), or a path or pattern of files. */
  corpus: string;
  /** The field or column that holds the text; `text` by default. */
  textField?: string;
  /** The first documents only. */
  limit?: number;
}>;

/** Windows of a text. */
export type CorpusData =
  & TrainSubset
  & TextPlace
  & Readonly<{
    vocabSize: number;
    unit: TextUnit;
    layout: Layout;
    /** N, tokens a window. */
    contextLength: number;
    /** How many held-out windows are evaluated, spread evenly over the held-out text. */
    heldOutWindows: number;
  }>;
