/**
 * Training steps with matrix products in bfloat16, here and in PyTorch, beside those in float32.
 * Losses differ by the rounding of operands, by much less than what is refused.
 */

import { initEngine } from "../../lib/engine/mod.ts";
import { UserError } from "../../lib/errors.ts";
import { type RaceResult, SPEED_FAMILIES, SPEED_SIZES } from "../../lib/experiments/mod.ts";
import { ours, peer } from "./_contestant.ts";
import { contestantsOf, factsOf, type Request, runProgram } from "./_program.ts";
import { raceCases } from "./_raced.ts";

const PRECISION = "bfloat16";

await runProgram(async (request): Promise<RaceResult[]> => {
  try {
    await initEngine({ threads: request.threads, matmulPrecision: PRECISION, log: () => {} });
  } catch (error) {
    if (!(error instanceof UserError)) throw error;
    console.log(`skipped: ${error.message}`);
    return [];
  }
  return await racePrecisions(request);
});

function racePrecisions(request: Request): Promise<RaceResult[]> {
  const inFloat32 = contestantsOf(request, factsOf(request), ["torch"]);
  const hasTorch = inFloat32.length > 1;
  return raceCases(request, {
    bench: "precision",
    task: "training",
    contestants: [
      ours({ name: `ours, ${PRECISION}`, matmulPrecision: PRECISION }),
      ...(hasTorch ? [peer("torch", request.python!, PRECISION)] : []),
      ...inFloat32,
    ],
    cases: SPEED_SIZES.slice(1, 2).flatMap((size) =>
      SPEED_FAMILIES.map((family) => ({ family, kind: "CLM" as const, size }))
    ),
    stepsOf: () => 2,
  });
}
