/** Training steps of one small model on every backend that is here. */

import { SPEED_FAMILIES, type SpeedSize } from "../../lib/experiments/mod.ts";
import { type Contestant, ours } from "./_contestant.ts";
import { factsOf, type Request, runProgram } from "./_program.ts";
import { raceCases } from "./_raced.ts";

/** As small as notebooks' models at preset `quick`: others than TensorFlow are slow. */
const SIZE: SpeedSize = { width: 64, layers: 2, context: 64, batch: 8, vocab: 512 };

function backends(request: Request): readonly Contestant[] {
  const { tensorflow, backend } = factsOf(request).machine;
  return [
    ...(tensorflow === null
      ? []
      : (["xla", "graph"] as const).map((compiler) =>
        ours({ name: `tensorflow, ${compiler}`, backend: "tensorflow", compiler })
      )),
    ...(backend === "webgpu" ? [ours({ name: "webgpu", backend })] : []),
    ours({ name: "wasm", backend: "wasm" }),
  ];
}

await runProgram((request) =>
  raceCases(request, {
    bench: "backends",
    task: "training",
    contestants: backends(request),
    cases: SPEED_FAMILIES.map((family) => ({ family, kind: "CLM", size: SIZE })),
    stepsOf: () => 6,
  })
);
