/**
 * Training steps of encoder-augmented models with uniform noise on the embedding (paper §6.2), here
 * and in PyTorch. Noises differ, and so do losses, by much less than what is refused.
 */

import { SPEED_FAMILIES, SPEED_SIZES } from "../../lib/experiments/mod.ts";
import { contestantsOf, factsOf, runProgram } from "./_program.ts";
import { raceCases } from "./_raced.ts";

await runProgram((request) =>
  raceCases(request, {
    bench: "noise",
    task: "training",
    noiseWidth: 1 / 8, // the paper's
    contestants: contestantsOf(request, factsOf(request), ["torch"]),
    cases: SPEED_FAMILIES.map((family) => ({ family, kind: "EEM", size: SPEED_SIZES[0]! })),
    stepsOf: () => 6,
  })
);
