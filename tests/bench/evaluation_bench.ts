/** Token losses of batches of held-out windows, by causal models, here and in PyTorch and JAX. */

import { SPEED_FAMILIES, SPEED_SIZES } from "../../lib/experiments/mod.ts";
import { contestantsOf, factsOf, runProgram } from "./_program.ts";
import { raceCases } from "./_raced.ts";

await runProgram((request) =>
  raceCases(request, {
    bench: "evaluation",
    task: "evaluation",
    contestants: contestantsOf(request, factsOf(request), ["torch", "jax"]),
    cases: SPEED_SIZES.slice(0, 2).flatMap((size) =>
      SPEED_FAMILIES.map((family) => ({ family, kind: "CLM", size }))
    ),
    stepsOf: ({ size: { width } }) => width <= 128 ? 10 : 4,
  })
);
