/** What |CE − e| is least for, of two tokens whose probabilities are known (paper §5.1). */

import assert from "node:assert/strict";
import { tensor } from "../../lib/engine/mod.ts";
import { objectiveLosses, PAPER_SCALE } from "../../lib/train/mod.ts";
import { onEveryBackend } from "../_backends.ts";
import { read } from "../_numbers.ts";

const P = [0.9, 0.1] as const;
const ENTROPY = -P.reduce((sum, p) => sum + p * Math.log(p), 0);
const SURPRISAL = P.map((p) => -Math.log(p));

/** The probability of the likely token at which the expected |CE − e| is least, to 0.001. */
async function bestModel(estimates: readonly number[]): Promise<number> {
  const models = Array.from({ length: 999 }, (_, i) => (i + 1) / 1000);
  const shape = [models.length, 2];
  const losses = await read(objectiveLosses(
    { form: "absolute", scale: PAPER_SCALE },
    {
      lossTB: tensor(models.flatMap((q) => [-Math.log(q), -Math.log(1 - q)]), shape),
      scoredTB: tensor(models.flatMap(() => [1, 1]), shape),
    },
    tensor(models.flatMap(() => estimates), shape),
  ));
  const risk = models.map((_, i) => P[0] * losses[2 * i]! + P[1] * losses[2 * i + 1]!);
  return models[risk.indexOf(Math.min(...risk))]!;
}

onEveryBackend(
  "objectiveLosses() of absolute are least for P where e is the surprisal",
  async () => {
    assert.equal(await bestModel(SURPRISAL), P[0]);
  },
  { oncePerBackend: true },
);

onEveryBackend(
  "objectiveLosses() of absolute are not least for P where e is its entropy",
  async () => {
    assert.equal(await bestModel([ENTROPY, ENTROPY]), Number(Math.exp(-ENTROPY).toFixed(3)));
  },
  { oncePerBackend: true },
);
