/** What trained weights are called: by stored estimates, and by compressed files. */

import { createHash } from "node:crypto";
import type { ModelConfig } from "../models/mod.ts";

/** SHA-256 (hexadecimal) of weights as they are stored. */
export function hashWeights(weights: Uint8Array): string {
  return createHash("sha256").update(weights).digest("hex");
}

/** SHA-256 (hexadecimal) over the hash of a run's weights and the model's configuration. */
export function codecHash(weightsHash: string, config: ModelConfig): string {
  return createHash("sha256").update(weightsHash).update(JSON.stringify(config)).digest("hex");
}
