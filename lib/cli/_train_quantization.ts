/** The options of `deno task train` for models that are to be rounded later (paper §6.2). */
import { UserError } from "../errors.ts";
import {
  NOISE_SITES,
  parseQuantization,
  type QuantizationAwareTraining,
  ROUNDING_SITES,
} from "../qat/mod.ts";
import { type CommandSpec, type OptionValues, refuseIdleOptions, UsageError } from "./_args.ts";

export const QUANTIZATION_OPTIONS = {
  noise: {
    type: "number",
    above: 0,
    placeholder: "W",
    description: "add uniform noise of this full width in training, U(−W/2, W/2)",
  },
  noiseAt: {
    type: "choice",
    choices: NOISE_SITES,
    default: "embedding",
    description: "where: an EEM's embedding, or before down (residual), or of modules",
  },
  noiseOneSided: { type: "boolean", description: "U(0, W), as in the original code" },
  noiseRelative: { type: "boolean", description: "as a share of each number" },
  fakeQuantization: {
    type: "string",
    placeholder: "FORMAT",
    description: "round in training, with straight-through gradients; as in deno task quantize",
  },
  fakeQuantizationAt: {
    type: "choice",
    choices: ROUNDING_SITES,
    default: "embedding",
    description: "where: an EEM's embedding, or of modules",
  },
  qatModules: {
    type: "strings",
    placeholder: "NAME,…",
    description: "of outputs and weights: these modules (default: all)",
  },
} as const satisfies CommandSpec["options"];

export type QuantizationOptionValues = OptionValues<typeof QUANTIZATION_OPTIONS>;

/**
 * @throws UsageError naming an option that was given and would do nothing, or that does not apply to
 *   the model, and UserError for an unknown format.
 */
export function checkQuantizationOptions(
  options: QuantizationOptionValues & Readonly<{ model: string }>,
  given: ReadonlySet<string>,
  command: Pick<CommandSpec, "name">,
): void {
  const { model, noise, fakeQuantization, qatModules } = options;
  const refuse = (message: string): never => {
    throw new UsageError(`${message} (see ${command.name} --help)`);
  };
  if (noise !== undefined && fakeQuantization !== undefined) {
    refuse("--noise and --fake-quantization: expected one of them, found both");
  }
  const method = noise !== undefined
    ? `--noise-at ${options.noiseAt}`
    : fakeQuantization !== undefined
    ? `--fake-quantization-at ${options.fakeQuantizationAt}`
    : "training without --noise and --fake-quantization";
  const hasNoise = () => noise !== undefined;
  refuseIdleOptions(command, { options, given }, {
    noiseAt: hasNoise,
    noiseOneSided: hasNoise,
    noiseRelative: hasNoise,
    fakeQuantizationAt: () => fakeQuantization !== undefined,
    qatModules: () => ["outputs", "weights"].includes(siteOf(options) ?? ""),
  }, method);
  if (qatModules?.length === 0) refuse("--qat-modules: expected one or more names, found none");
  const isInside = siteOf(options) === "embedding" || siteOf(options) === "residual";
  if (isInside && model !== "eem") {
    refuse(`${method}: expected --model eem, found ${model}, which hands no embedding on`);
  }
  if (fakeQuantization !== undefined) formatOf(fakeQuantization);
}

/** Where something is done in training; undefined if nothing is. */
function siteOf(
  { noise, noiseAt, fakeQuantization, fakeQuantizationAt }: QuantizationOptionValues,
): QuantizationAwareTraining["at"] | undefined {
  if (noise !== undefined) return noiseAt;
  return fakeQuantization === undefined ? undefined : fakeQuantizationAt;
}

function formatOf(name: string) {
  try {
    return parseQuantization(name);
  } catch (error) {
    throw error instanceof UserError
      ? new UserError(`--fake-quantization ${name}: ${error.message}`)
      : error;
  }
}

/** What training does for the sake of quantization; undefined if nothing. */
export function quantizationOf(
  options: QuantizationOptionValues,
): QuantizationAwareTraining | undefined {
  const { noise: width, noiseAt, noiseOneSided, noiseRelative, fakeQuantization } = options;
  const modules = options.qatModules && { modules: options.qatModules };
  if (width !== undefined) {
    return {
      method: "noise",
      width,
      ...(noiseOneSided && { oneSided: true }),
      ...(noiseRelative && { relative: true }),
      at: noiseAt,
      ...modules,
    };
  }
  if (fakeQuantization === undefined) return undefined;
  return {
    method: "fake-quantization",
    quantization: formatOf(fakeQuantization),
    at: options.fakeQuantizationAt,
    ...modules,
  };
}
