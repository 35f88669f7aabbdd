/**
 * Training steps (forward, backward, clipping, AdamW) here and in PyTorch and JAX: the same model
 * from the same weights on the same batches, losses compared step by step.
 */

import { SPEED_FAMILIES, SPEED_KINDS, SPEED_SIZES } from "../../lib/experiments/mod.ts";
import { contestantsOf, factsOf, runProgram } from "./_program.ts";
import { raceCases } from "./_raced.ts";

await runProgram((request) =>
  raceCases(request, {
    bench: "training",
    task: "training",
    contestants: contestantsOf(request, factsOf(request)),
    cases: SPEED_SIZES.flatMap((size) =>
      SPEED_FAMILIES.flatMap((family) => SPEED_KINDS.map((kind) => ({ family, kind, size })))
    ),
    // Fewer, the longer one takes.
    stepsOf: ({ size: { width } }) => width <= 128 ? 6 : width <= 256 ? 2 : 1,
  })
);
