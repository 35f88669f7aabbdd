/** `deno task quantize`: what rounding costs a trained run, module by module (paper §6.1). */
import { basename, dirname } from "node:path";
import { BACKENDS, disposeTree, initEngine } from "../engine/mod.ts";
import { UserError } from "../errors.ts";
import {
  type DataSpec,
  findTrainedRun,
  loadWeights,
  prepareData,
  type PreparedData,
  PROJECT_FOLDERS,
  projectData,
  readRunTokenizer,
  type RunConfig,
  withInterrupt,
} from "../experiments/mod.ts";
import { formatTextTable, liveProgress } from "../figures/mod.ts";
import {
  type Condition,
  quantizedLosses,
  type QuantizedModel,
  sensitivityConditions,
  type Site,
  SITES,
} from "../measure/mod.ts";
import { type Model, needsValues } from "../models/mod.ts";
import { formatQuantization, parseQuantization } from "../qat/mod.ts";
import type { WindowIds } from "../text/mod.ts";
import { compileEvaluator, evaluate } from "../train/mod.ts";
import { type CommandSpec, parseCommand, runCommand, UsageError } from "./_args.ts";
import { INTERRUPTED } from "./_process.ts";

const spec = {
  name: "deno task quantize",
  summary: "Rounds modules of a trained run to number formats and says what it loses by it.",
  positionals: [
    { name: "RUN", required: true, description: "a run's folder or its id in runs/" },
  ],
  options: {
    format: {
      type: "strings",
      default: ["e4m3fn"],
      placeholder: "NAME,…",
      description: "number formats, see below",
    },
    site: {
      type: "strings",
      choices: SITES,
      default: ["output", "weight"],
      placeholder: "NAME,…",
      description: "what of a module: output, input, weight, or product, its input and weight",
    },
    modules: {
      type: "strings",
      default: ["all"],
      placeholder: "NAME,…",
      description: "all, or some by their names in the weights' file without .weight",
    },
    together: {
      type: "boolean",
      description: "round these modules all at once in place of one at a time",
    },
    windows: {
      type: "integer",
      min: 1,
      description: "held-out samples, spread over the text (default: as in training)",
    },
    batch: { type: "integer", min: 1, description: "samples at once (default: as in training)" },
    backend: { type: "choice", choices: BACKENDS, description: "force a backend" },
    jsonl: { type: "boolean", description: "print JSON lines as they come in place of a table" },
  },
  examples: [
    { command: "deno task quantize RUN", does: "every module's output and weight in E4M3" },
    {
      command: "deno task quantize RUN --modules down,up --format e4m3fn,e5m2,int8/channel",
      does: "the two sides of an EEM's embedding in three formats",
    },
    {
      command: "deno task quantize RUN --together --site product --format llm.int8",
      does: "all products of the model as LLM.int8 computes them",
    },
  ],
  notes: [
    "Formats: fp16, bf16, e4m3fn, e5m2, e3m2; int2 … int16 with a scale for each vector (int8/row, the",
    "default), each channel (int8/channel) or all (int8/tensor), outliers kept (int8/row/outliers=6,",
    "in short llm.int8); nf4. Scales are those of the numbers themselves, in each batch anew.",
    "The held-out text is read again, so it must be where it was when the run was trained.",
  ],
} as const satisfies CommandSpec;

/** What is printed as a JSON line of each condition. */
export type RoundedLoss =
  & Condition
  & Readonly<{
    /** Nats a token, the mean over the scored tokens. */
    lossNats: number;
    scoredTokens: number;
    /** How much more than without rounding. */
    costNats: number;
  }>;

async function main(argv: readonly string[]): Promise<number> {
  const { options, positionals: [name] } = parseCommand(spec, argv);
  const formats = options.format.map((name) => formatQuantization(parseQuantization(name)));
  for (const list of ["format", "site", "modules"] as const) {
    if (options[list].length > 0) continue;
    throw new UsageError(`--${list}: expected one or more, found none (see ${spec.name} --help)`);
  }
  const modules = options.modules.includes("all") ? "all" : options.modules;
  const { folder, config } = await findTrainedRun(name!, PROJECT_FOLDERS);
  refuseSecondOrder(config);

  await initEngine({ backend: options.backend });
  const run = { id: basename(folder), spec: config.spec };
  const params = await loadWeights({ runs: dirname(folder) }, run);
  try {
    const { model, batchSize } = config.spec.training;
    const conditions = conditionsOf(params, { ...options, formats, modules });
    const { padId, heldOut } = await heldOutOf(folder, config, options.windows);
    const { losses, isStopped } = await measure({ config: model, params, padId }, heldOut, {
      conditions,
      batchSize: options.batch ?? batchSize,
      onPlain: (plain) =>
        console.log(
          options.jsonl
            ? JSON.stringify({ run: run.id, windows: heldOut.count, ...plain })
            : plainLine(config, plain, heldOut.count),
        ),
      onLoss: (loss) => {
        if (options.jsonl) console.log(JSON.stringify(loss));
      },
    });
    if (!options.jsonl && losses.length > 0) console.log(`\n${costTable(losses)}`);
    if (!isStopped) return 0;
    console.error(`stopped after ${losses.length} of ${conditions.length} conditions`);
    return INTERRUPTED;
  } finally {
    disposeTree(params);
  }
}

/** @throws UserError for a run whose losses need more than token ids. */
function refuseSecondOrder({ id, spec: { training } }: RunConfig): void {
  if (!needsValues(training.model)) return;
  throw new UserError(
    `${id}: expected a model that predicts tokens, found a second-order one, which learned a ` +
      "number of every token from another model; choose another run",
  );
}

/**
 * The held-out windows of a run.
 *
 * @throws UserError when the text is not the run's.
 */
async function heldOutOf(
  folder: string,
  { id, spec: { data } }: RunConfig,
  count: number | undefined,
): Promise<PreparedData["training"]> {
  const wanted: DataSpec = { ...data, ...(count !== undefined && { heldOutWindows: count }) };
  const prepared = await prepareData(wanted, {
    ...projectData(),
    log: console.error,
  });
  const own = await readRunTokenizer(folder);
  if (own !== null && "corpus" in data && own.hash !== prepared.tokenizer?.hash) {
    throw new UserError(
      `${data.corpus}: expected the text that ${id} was trained on, found another, ` +
        "from which another tokenizer comes; put the old one there",
    );
  }
  return prepared.training;
}

type ConditionOptions = Readonly<{
  formats: readonly string[];
  site: readonly Site[];
  modules: readonly string[] | "all";
  together: boolean;
}>;

/**
 * The conditions that options describe.
 *
 * @throws UserError for modules that the model has not, and sites that they have not.
 */
export function conditionsOf(
  params: Model,
  { formats, site: sites, modules, together }: ConditionOptions,
): Condition[] {
  return formats.flatMap((quantization) =>
    together
      ? sites.map((site) => ({ modules, site, quantization }))
      : sensitivityConditions(params, { quantization, sites, modules })
  );
}

type Plain = Readonly<{ lossNats: number; scoredTokens: number }>;

type MeasureOptions = Readonly<{
  conditions: readonly Condition[];
  batchSize: number;
  onPlain: (plain: Plain) => void;
  onLoss: (loss: RoundedLoss) => void;
}>;

/** The plain loss, then one condition after another, until Ctrl-C. */
async function measure(
  model: QuantizedModel,
  heldOut: WindowIds,
  { conditions, batchSize, onPlain, onLoss }: MeasureOptions,
): Promise<{ losses: RoundedLoss[]; isStopped: boolean }> {
  const losses: RoundedLoss[] = [];
  const progress = liveProgress({ label: "rounding" });
  return await withInterrupt(async (signal) => {
    // Before the plain loss, which takes a while: this checks the conditions.
    const rounded = quantizedLosses(model, heldOut, conditions, { batchSize, signal });
    const plain = await plainLoss(model, heldOut, batchSize);
    onPlain(plain);
    const start = performance.now();
    for await (const loss of rounded) {
      const record = { ...loss, costNats: loss.lossNats - plain.lossNats };
      losses.push(record);
      onLoss(record);
      const [step, steps] = [losses.length, conditions.length];
      await progress.update({
        detail: `${nameOf(loss)} ${loss.site} ${loss.quantization}`,
        unit: "condition",
        step,
        steps,
        etaSeconds: (steps - step) * (performance.now() - start) / 1000 / step,
      });
    }
    return { losses, isStopped: losses.length < conditions.length };
  }).finally(() => progress.finish());
}

async function plainLoss(
  { config, params, padId }: QuantizedModel,
  heldOut: WindowIds,
  batchSize: number,
): Promise<Plain> {
  const evaluator = compileEvaluator(config, { padId }, "graph");
  try {
    const { lossNats, scoredTokens } = await evaluate(evaluator, params, heldOut, batchSize);
    return { lossNats, scoredTokens };
  } finally {
    evaluator.dispose();
  }
}

function nameOf({ modules }: Condition): string {
  return modules === "all" ? "all together" : modules.join(" + ");
}

/** What the run is and what it loses without rounding. */
export function plainLine(
  { id, facts }: Pick<RunConfig, "id" | "facts">,
  { lossNats, scoredTokens }: Plain,
  windows: number,
): string {
  const unpaid = facts.embeddingSize > 0 ? ", embedding not paid for" : "";
  return `${id}: held-out loss ${lossNats.toFixed(4)} nats/token${unpaid} (${windows} samples, ` +
    `${scoredTokens} tokens scored)`;
}

/** The dearest first; losses that are no numbers before all others. */
export function costTable(losses: readonly RoundedLoss[]): string {
  const rank = ({ costNats }: RoundedLoss) => Number.isNaN(costNats) ? Infinity : costNats;
  const percent = ({ lossNats, costNats }: RoundedLoss) => 100 * costNats / (lossNats - costNats);
  return formatTextTable(
    [
      { title: "module" },
      { title: "site" },
      { title: "format" },
      { title: "loss, nats", align: "right" },
      { title: "cost, nats", align: "right" },
      { title: "cost, %", align: "right" },
    ],
    losses.toSorted((a, b) => rank(b) - rank(a) || 0).map((loss) => [
      nameOf(loss),
      loss.site,
      loss.quantization,
      loss.lossNats.toFixed(4),
      withoutNegativeZero(loss.costNats.toFixed(4)),
      withoutNegativeZero(percent(loss).toFixed(2)),
    ]),
  );
}

function withoutNegativeZero(digits: string): string {
  return digits.replace(/^-(?=[0.]+$)/, "");
}

if (import.meta.main) await runCommand(main);
