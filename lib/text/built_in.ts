/** The corpora that come with the packages this library needs: there wherever it runs. */

import type { TextDocument } from "./document.ts";
import { readSotu, SOTU_LICENCE, SOTU_PART } from "./sotu.ts";
import { readTfjsSource, TFJS_LICENCE, TFJS_PART } from "./tfjs_source.ts";

export type BuiltInName = "sotu" | "tfjs";

export type BuiltIn = Readonly<{
  licence: string;
  /** All of it, as a part of a source; the version is the package's. */
  part: Readonly<{ name: string; version: string; bytes: number; documents: number }>;
  read(): Promise<TextDocument[]>;
}>;

export const BUILT_IN: Readonly<Record<BuiltInName, BuiltIn>> = {
  sotu: { licence: SOTU_LICENCE, part: SOTU_PART, read: () => readSotu() },
  tfjs: { licence: TFJS_LICENCE, part: TFJS_PART, read: () => readTfjsSource() },
};

export function isBuiltIn(name: string): name is BuiltInName {
  return Object.hasOwn(BUILT_IN, name);
}
