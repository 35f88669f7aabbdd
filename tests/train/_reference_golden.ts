/** What tests/reference/reference_names.py wrote. */

import { readdirSync, readFileSync } from "node:fs";
import { fileURLToPath } from "node:url";
import type { ModelConfig } from "../../lib/models/mod.ts";
import { parseSafetensors, type StoredTensor } from "../../lib/train/safetensors.ts";

export type ReferenceGolden = Readonly<{
  config: ModelConfig;
  padId: number | null;
  ids: readonly (readonly number[])[];
  lossNats: number;
  scoredTokens: number;
  tokenLossNats: readonly (readonly (number | null)[])[];
  weightsPath: string;
  tensors: ReadonlyMap<string, StoredTensor>;
}>;

const folder = fileURLToPath(new URL("../golden/reference_names/", import.meta.url));

export const REFERENCE_NAMES: readonly string[] = readdirSync(folder)
  .filter((file) => file.endsWith(".json"))
  .map((file) => file.replace(/\.json$/, ""))
  .sort();

export function loadReferenceGolden(name: string): ReferenceGolden {
  const weightsPath = `${folder}${name}.safetensors`;
  return {
    ...JSON.parse(readFileSync(`${folder}${name}.json`, "utf8")),
    weightsPath,
    tensors: parseSafetensors(readFileSync(weightsPath), name).tensors,
  };
}
