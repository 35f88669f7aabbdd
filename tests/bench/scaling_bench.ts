/** Training speed over width, context and batch, one varied at a time, here and in PyTorch. */

import { scalingCaseName, scalingCases, SPEED_FAMILIES } from "../../lib/experiments/mod.ts";
import { contestantsOf, factsOf, runProgram } from "./_program.ts";
import { raceCases } from "./_raced.ts";

await runProgram((request) =>
  raceCases(request, {
    bench: "scaling",
    task: "training",
    contestants: contestantsOf(request, factsOf(request), ["torch"]),
    cases: SPEED_FAMILIES.flatMap(scalingCases),
    stepsOf: () => 3,
    rounds: 2,
    nameOf: scalingCaseName,
  })
);
