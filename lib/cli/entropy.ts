/** `deno task entropy`: how uncertain each token of one's own text is, as trained runs see it. */
import { float64, int32, utf8 } from "@uwdata/flechette";
import type { ColumnTable } from "arquero";
import { BACKENDS, initEngine } from "../engine/mod.ts";
import { type EstimatorName, ESTIMATORS } from "../entropy/mod.ts";
import { UserError } from "../errors.ts";
import { estimatePlan, estimateTable, planText, type TextEntropies } from "../experiments/mod.ts";
import { type TerminalColours, terminalTokens } from "../figures/mod.ts";
import { bitsPerByte } from "../measure/mod.ts";
import { embeddingSize } from "../models/mod.ts";
import { type CommandSpec, parseCommand, runCommand, UsageError } from "./_args.ts";
import { checkFolder, readInput, STANDARD, STANDARD_INPUT, writeOutput } from "./_streams.ts";

const spec = {
  name: "deno task entropy",
  summary: "Shows how uncertain each token of a text is to a model that was trained here.",
  options: {
    model: {
      type: "strings",
      placeholder: "RUN",
      description: "a run's folder or its id in runs/; several are an ensemble",
    },
    text: {
      type: "string",
      placeholder: "FILE",
      description: "the text, UTF-8; - or a pipe into the task: standard input",
    },
    estimator: {
      type: "choice",
      choices: ESTIMATORS,
      placeholder: "NAME",
      description: "how uncertainty is estimated (default: by the kind of model, see below)",
    },
    shorter: {
      type: "strings",
      placeholder: "RUN",
      description: "of two-window: the run of a context of one token less, one for each model",
    },
    batch: { type: "integer", min: 1, description: "windows read at once (default: by estimator)" },
    backend: { type: "choice", choices: BACKENDS, description: "force a backend" },
    json: { type: "boolean", description: "print one JSON object" },
    output: {
      type: "string",
      placeholder: "FILE",
      description: "write the tokens to a .jsonl, .csv or .arrow file instead of showing them",
    },
  },
  examples: [
    { command: "deno task entropy --model runs/ID --text my.txt", does: "bits of every token" },
    {
      command: "deno task entropy --model ID1 --model ID2 --text my.txt --output my.csv",
      does: "mean and standard error of two runs",
    },
    {
      command: "cat my.txt | deno task entropy --model ID --estimator occlusion-l1 --json",
      does: "an attribution, which has no unit",
    },
  ],
  notes: [
    `Estimators: ${ESTIMATORS.slice(0, 5).join(", ")},`,
    `${ESTIMATORS.slice(5).join(", ")}.`,
    "By default a causal model is read by its loss, how unlikely each token was; predictive-entropy",
    "says how uncertain the model was before it. Augmented models trained with --layout padded are",
    "read by pad-shift, second-order ones (notebooks 04 and 05 train some) by what they learned.",
    "Texts longer than a model's context are read in windows that overlap by half. Without a terminal,",
    "or with NO_COLOR set, a line a token: text, bits.",
  ],
} as const satisfies CommandSpec;

async function main(argv: readonly string[]): Promise<void> {
  const { options } = parseCommand(spec, argv);
  const { model: run = [], estimator, shorter, output, json } = options;
  if (run.length === 0) {
    throw new UsageError(
      `--model is missing: it names a run's folder or its id in runs/ (see ${spec.name} --help)`,
    );
  }
  const format = output === undefined ? null : formatOf(output);
  if (output !== undefined) checkFolder(output, `--output ${output}`);
  const { bytes, source } = await readSource(options.text);
  const text = decodeText(bytes, source);
  const plan = await planText(text, { run, estimator, shorter });

  await initEngine({ backend: options.backend });
  const entropies = await estimatePlan(plan, { batchSize: options.batch });
  if (format !== null) {
    await writeOutput(output!, format(estimateTable(entropies)), `--output ${output}`);
  }
  if (json) {
    console.log(JSON.stringify(asJson(entropies)));
    return;
  }
  if (format === null) {
    const { records, unit } = entropies;
    const shown = {
      colours: terminalColours(),
      ...(unit === null ? { unit: noUnit(entropies) } : { unit: "bits", ...BITS_SCALE }),
    };
    console.log(`${terminalTokens(records, shown)}\n`);
  }
  console.log(formatSummary(entropies));
  if (format !== null) console.log(`written: ${output}`);
}

type Format = (table: ColumnTable) => string | Uint8Array;

const FORMATS: Readonly<Record<string, Format>> = {
  ".jsonl": (table) => table.objects().map((row) => `${JSON.stringify(row)}\n`).join(""),
  ".csv": (table) => table.toCSV(),
  ".arrow": arrowFile,
};

/** An Arrow file whose columns have the same types whatever the text is. */
function arrowFile(table: ColumnTable): Uint8Array {
  const integers = ["position", "id"];
  const types = Object.fromEntries(
    table.columnNames().map((name) => [
      name,
      name === "text" ? utf8() : integers.includes(name) ? int32() : float64(),
    ]),
  );
  return table.toArrowIPC({ format: "file", types })!;
}

/** @throws UserError for a file of another kind. */
function formatOf(path: string): Format {
  const ending = Object.keys(FORMATS).find((ending) => path.toLowerCase().endsWith(ending));
  if (ending !== undefined) return FORMATS[ending]!;
  throw new UserError(
    `--output ${path}: expected a file ending in ${Object.keys(FORMATS).join(", ")}; rename it`,
  );
}

async function readSource(
  path: string | undefined,
): Promise<{ bytes: Uint8Array; source: string }> {
  if (path === undefined && Deno.stdin.isTerminal()) {
    throw new UsageError(
      `--text is missing: it names a file, or pipe a text into the task (see ${spec.name} --help)`,
    );
  }
  const from = path ?? STANDARD;
  return {
    bytes: await readInput(from, "a text file"),
    source: from === STANDARD ? STANDARD_INPUT : from,
  };
}

/** @throws UserError for what is no text: none, other bytes than UTF-8, or zero bytes. */
export function decodeText(bytes: Uint8Array, source: string): string {
  if (bytes.length === 0) throw new UserError(`${source}: expected text, found nothing; add some`);
  const zero = bytes.indexOf(0);
  if (zero >= 0) {
    throw new UserError(
      `${source}: expected text, found a binary file (byte ${zero} is zero); give a text file`,
    );
  }
  try {
    return new TextDecoder("utf-8", { fatal: true }).decode(bytes);
  } catch {
    throw new UserError(
      `${source}: expected UTF-8, found other bytes; convert the file (iconv -t utf-8)`,
    );
  }
}

function terminalColours(): TerminalColours {
  if (Deno.noColor || !Deno.stdout.isTerminal()) return "none";
  return /^(truecolor|24bit)$/.test(Deno.env.get("COLORTERM") ?? "") ? "truecolor" : "palette";
}

/** How a quantity without a unit is called. */
function noUnit({ estimator }: TextEntropies): string {
  return `${estimator}, no unit`;
}

/** Means over the tokens with an estimate; in bits for entropies, as they are for attributions. */
function summaryOf({ records, unit }: TextEntropies) {
  const estimated = records.filter(({ estimate }) => estimate !== null);
  const bytes = estimated.reduce((total, { bytes }) => total + bytes!.length, 0);
  const mean = estimated.reduce((total, { estimate }) => total + estimate!, 0) / estimated.length;
  return {
    tokens: records.length,
    estimatedTokens: estimated.length,
    ...(unit === null ? { mean } : {
      meanBits: mean / Math.LN2,
      bitsPerByte: bitsPerByte(mean, bytes / estimated.length),
    }),
  };
}

function asJson(entropies: TextEntropies) {
  const { estimator, unit, runs } = entropies;
  return {
    estimator,
    unit: unit === null ? null : "bits",
    models: runs.map(({ id }) => id),
    ...summaryOf(entropies),
    records: estimateTable(entropies).objects(),
  };
}

/** One scale for all texts, so that a shade means the same: 12 bits are one chance in 4,096. */
const BITS_SCALE = { low: 0, high: 12 } as const;

/** What the numbers say of a token. */
const MEANINGS: Readonly<Partial<Record<EstimatorName, string>>> = {
  loss: "how unlikely each token was",
  "predictive-entropy": "how uncertain the model was before each token",
  "pad-shift": "how much the summed loss grows with each token",
  "two-window": "of each window's last token; needs two models that are equally good",
};

/** Estimators whose sums leave out the bits of the embedding that the model was handed. */
const UNPAID: readonly EstimatorName[] = ["loss", "pad-shift"];

function formatSummary(entropies: TextEntropies): string {
  const { estimator, runs } = entropies;
  const summary = summaryOf(entropies);
  const means = "mean" in summary
    ? `mean ${summary.mean.toPrecision(4)}, no unit`
    : `mean ${summary.meanBits.toFixed(3)} bits/token, ${summary.bitsPerByte.toFixed(3)} bits/byte`;
  const isGiven = runs.some(({ spec }) => embeddingSize(spec.training.model) > 0);
  const unpaid = isGiven && UNPAID.includes(estimator) ? ", embedding not paid for" : "";
  const models = runs.map(({ id }) => id).join(", ");
  const meaning = estimator in MEANINGS ? `: ${MEANINGS[estimator]}` : "";
  return `${summary.tokens} tokens, ${summary.estimatedTokens} with an estimate: ${means} ` +
    `(${estimator}${meaning}, by ${models}${unpaid})`;
}

if (import.meta.main) await runCommand(main);
