/**
 * Command lines: one spec gives typed options, checks and `--help`. `node:util`'s parseArgs splits
 * the words; what they mean is decided here.
 *
 * `deno task train --steps 10` and `deno task train -- --steps 10` are the same: Deno hands the `--`
 * on, and it is dropped when it comes first. Only a command that passes options on to another
 * program (`passThrough`) keeps what follows a `--` apart.
 */
import { parseArgs } from "node:util";
import { UserError } from "../errors.ts";
import { INTERRUPTED, Interrupted } from "./_process.ts";

interface OptionBase {
  readonly description: string;
  /** One letter, for `-s`. */
  readonly short?: string;
  /** Stands for the value in the help, e.g. `FOLDER`. */
  readonly placeholder?: string;
}

/** A text, e.g. a path. */
export interface StringOption extends OptionBase {
  readonly type: "string";
  readonly default?: string;
}

/**
 * A finite number; `integer` refuses fractions. `min` and `max` are allowed values, `above` and
 * `below` are not.
 */
export interface NumberOption extends OptionBase {
  readonly type: "number" | "integer";
  readonly default?: number;
  readonly min?: number;
  readonly max?: number;
  readonly above?: number;
  readonly below?: number;
}

/** A switch: `--name` turns it on, `--no-name` off. */
export interface BooleanOption extends OptionBase {
  readonly type: "boolean";
  readonly default?: boolean;
}

/** One of a few words. */
export interface ChoiceOption extends OptionBase {
  readonly type: "choice";
  readonly choices: readonly string[];
  readonly default?: string;
}

/** A list: the option repeated, or its values joined by commas. */
export interface ListOption extends OptionBase {
  readonly type: "strings" | "integers";
  readonly default?: readonly string[] | readonly number[];
  /** The words that a list of strings may have; all without these. */
  readonly choices?: readonly string[];
}

export type OptionSpec = StringOption | NumberOption | BooleanOption | ChoiceOption | ListOption;

export interface PositionalSpec {
  readonly name: string;
  readonly description: string;
  readonly required?: boolean;
  /** Takes every remaining word; only for the last one. */
  readonly many?: boolean;
}

export interface CommandSpec<
  Options extends Readonly<Record<string, OptionSpec>> = Readonly<Record<string, OptionSpec>>,
> {
  /** As typed, e.g. `deno task train`. */
  readonly name: string;
  /** One sentence. */
  readonly summary: string;
  readonly positionals?: readonly PositionalSpec[];
  /** camelCase here, kebab-case on the command line: `batchSize` is `--batch-size`. */
  readonly options: Options;
  /** What takes the words after `--`, e.g. `JupyterLab`. */
  readonly passThrough?: string;
  readonly examples?: readonly { readonly command: string; readonly does: string }[];
  /** More for the help: files, environment variables. */
  readonly notes?: readonly string[];
}

type ValueOf<Option extends OptionSpec> = Option extends { type: "string" } ? string
  : Option extends { type: "number" | "integer" } ? number
  : Option extends { type: "boolean" } ? boolean
  : Option extends { type: "choice"; choices: readonly (infer Choice)[] } ? Choice
  : Option extends { type: "strings"; choices: readonly (infer Choice)[] } ? readonly Choice[]
  : Option extends { type: "strings" } ? readonly string[]
  : Option extends { type: "integers" } ? readonly number[]
  : never;

/** Booleans and options with a default always have a value; the others may be undefined. */
export type OptionValues<Options extends Readonly<Record<string, OptionSpec>>> = {
  readonly [Name in keyof Options]: Options[Name] extends { default: unknown } | { type: "boolean" }
    ? ValueOf<Options[Name]>
    : ValueOf<Options[Name]> | undefined;
};

export interface ParsedCommand<Options extends Readonly<Record<string, OptionSpec>>> {
  readonly options: OptionValues<Options>;
  /** The options that stand on the command line, as against those with their defaults. */
  readonly given: ReadonlySet<string>;
  readonly positionals: readonly string[];
  /** The words after `--`, for commands with `passThrough`. */
  readonly rest: readonly string[];
}

/** The command line cannot be understood: exit code 2. */
export class UsageError extends UserError {}

/** `--help` was given: its message is the help text. Not a failure. */
export class HelpRequest extends Error {}

const universalOptions = {
  help: { type: "boolean", short: "h", description: "show this help" },
  debug: { type: "boolean", description: "show the stack trace of an error" },
} as const;

function kebabCase(name: string): string {
  return name.replaceAll(/[A-Z]/g, (letter) => `-${letter.toLowerCase()}`);
}

function camelCase(name: string): string {
  return name.replaceAll(/-([a-z0-9])/g, (_, letter: string) => letter.toUpperCase());
}

/**
 * Parses a command line against its spec.
 * @throws UsageError on unknown options, values that do not fit, missing or extra words.
 * @throws HelpRequest on `--help`.
 */
export function parseCommand<const Options extends Readonly<Record<string, OptionSpec>>>(
  spec: CommandSpec<Options>,
  argv: readonly string[],
): ParsedCommand<Options> {
  const { own, rest } = splitArguments(argv, spec.passThrough !== undefined);
  const known: Readonly<Record<string, OptionSpec>> = { ...spec.options, ...universalOptions };
  const shorts = new Map(
    Object.entries(known).flatMap(([name, option]) =>
      option.short === undefined ? [] : [[option.short, name]]
    ),
  );
  const { tokens } = parseArgs({
    args: own,
    options: Object.fromEntries(
      Object.entries(known).map(([name, option]) => [kebabCase(name), {
        type: option.type === "boolean" ? "boolean" : "string",
        multiple: true,
        ...(option.short === undefined ? {} : { short: option.short }),
      }]),
    ),
    strict: false,
    allowPositionals: true,
    tokens: true,
  });

  if (tokens.some((token) => token.kind === "option" && token.name === "help")) {
    throw new HelpRequest(formatHelp(spec));
  }

  const given = new Map<string, (string | boolean)[]>();
  const positionals: string[] = [];
  for (const token of tokens) {
    if (token.kind === "positional") positionals.push(token.value);
    if (token.kind !== "option") continue;
    const positive = token.name.startsWith("no-") ? camelCase(token.name.slice(3)) : undefined;
    const negated = positive !== undefined && known[positive]?.type === "boolean" &&
      !Object.hasOwn(known, camelCase(token.name));
    const name = negated ? positive : shorts.get(token.name) ?? camelCase(token.name);
    const option = Object.hasOwn(known, name) && (negated || kebabCase(name) === token.name ||
        shorts.has(token.name))
      ? known[name]
      : undefined;
    if (option === undefined) throw unknownOption(token.rawName, spec, known);
    if (option.type === "boolean") {
      if (token.value !== undefined) {
        throw usage(spec, `${token.rawName} is a switch and takes no value: got "${token.value}"`);
      }
      given.set(name, [!negated]);
    } else {
      if (token.value === undefined) {
        throw usage(spec, `${token.rawName} needs a value: ${describeValue(option)}`);
      }
      given.set(name, [...given.get(name) ?? [], token.value]);
    }
  }

  const options: Record<string, unknown> = {};
  for (const [name, option] of Object.entries<OptionSpec>(spec.options)) {
    const values = given.get(name);
    options[name] = values === undefined
      ? option.default ?? (option.type === "boolean" ? false : undefined)
      : readValue(spec, `--${kebabCase(name)}`, option, values);
  }
  checkPositionals(spec, positionals);
  return {
    options: options as OptionValues<Options>,
    given: new Set(given.keys()),
    positionals,
    rest,
  };
}

function splitArguments(
  argv: readonly string[],
  passThrough: boolean,
): { own: string[]; rest: readonly string[] } {
  if (!passThrough) return { own: argv[0] === "--" ? argv.slice(1) : [...argv], rest: [] };
  const split = argv.indexOf("--");
  return split < 0
    ? { own: [...argv], rest: [] }
    : { own: argv.slice(0, split), rest: argv.slice(split + 1) };
}

function readValue(
  spec: CommandSpec,
  flag: string,
  option: OptionSpec,
  values: readonly (string | boolean)[],
): unknown {
  const refuse = (value: string) =>
    usage(spec, `${flag} must be ${describeValue(option)}: got "${value}"`);
  const texts = values.map(String);
  const last = texts.at(-1) ?? "";
  switch (option.type) {
    case "boolean":
      return values.at(-1) === true;
    case "string":
      return last;
    case "choice":
      if (!option.choices.includes(last)) throw refuse(last);
      return last;
    case "strings":
      return texts.flatMap((text) => text.split(",")).filter((text) => text !== "").map((text) => {
        if (option.choices?.includes(text) === false) throw refuse(text);
        return text;
      });
    case "integers":
      return texts.flatMap((text) => text.split(",")).map((text) => {
        const value = parseNumber(text);
        if (!Number.isSafeInteger(value)) throw refuse(text);
        return value;
      });
    case "number":
    case "integer": {
      const value = parseNumber(last);
      const fits = Number.isFinite(value) && value >= (option.min ?? -Infinity) &&
        value <= (option.max ?? Infinity) && value > (option.above ?? -Infinity) &&
        value < (option.below ?? Infinity) &&
        (option.type === "number" || Number.isSafeInteger(value));
      if (!fits) throw refuse(last);
      return value;
    }
  }
}

/** A decimal number, `_` between digits allowed; NaN for all else (`Number("")` would be 0). */
function parseNumber(text: string): number {
  const digits = text.trim().replaceAll(/(?<=\d)_(?=\d)/g, "");
  return /^[+-]?(\d+\.?\d*|\.\d+)(e[+-]?\d+)?$/i.test(digits) ? Number(digits) : NaN;
}

function checkPositionals(
  spec: CommandSpec,
  positionals: readonly string[],
): void {
  const specs = spec.positionals ?? [];
  const extra = specs.at(-1)?.many ? undefined : positionals[specs.length];
  if (extra !== undefined) {
    const takes = specs.length === 0
      ? "takes options only"
      : `takes ${specs.map((positional) => positional.name).join(" ")}`;
    throw usage(spec, `unexpected word "${extra}": the command ${takes}`);
  }
  const missing = specs.find((positional, index) =>
    positional.required && positionals[index] === undefined
  );
  if (missing) {
    throw usage(spec, `${missing.name} is missing: ${missing.description}`);
  }
}

function unknownOption(
  rawName: string,
  spec: CommandSpec,
  known: Readonly<Record<string, OptionSpec>>,
): UsageError {
  const flags = Object.keys(known).map((name) => `--${kebabCase(name)}`);
  const closest = nearest(rawName, flags);
  const hint = closest === undefined ? "" : `, did you mean ${closest}?`;
  const pass = spec.passThrough === undefined
    ? ""
    : ` (options for ${spec.passThrough} go after "--")`;
  return usage(spec, `unknown option ${rawName}${hint} Known: ${flags.join(", ")}${pass}`);
}

/**
 * @param applies Where an option means something; everywhere if it is not among these.
 * @param setting The options that decide it, as they are now.
 * @throws UsageError naming an option that was given and would do nothing.
 */
export function refuseIdleOptions<Options extends object>(
  { name: command }: Pick<CommandSpec, "name">,
  { options, given }: Readonly<{ options: Options; given: ReadonlySet<string> }>,
  applies: Readonly<Partial<Record<keyof Options, (options: Options) => boolean>>>,
  setting: string,
): void {
  for (const name of given) {
    if (applies[name as keyof Options]?.(options) ?? true) continue;
    throw new UsageError(
      `--${kebabCase(name)} does nothing with ${setting}; leave it out or change these ` +
        `(see ${command} --help)`,
    );
  }
}

/** The candidate at the smallest edit distance, if that is small enough to be a slip of the hand. */
export function nearest(word: string, candidates: readonly string[]): string | undefined {
  const ranked = candidates
    .map((candidate) => ({ candidate, distance: editDistance(word, candidate) }))
    .sort((a, b) => a.distance - b.distance);
  const best = ranked[0];
  const limit = Math.max(2, Math.floor(word.length / 3));
  return best !== undefined && best.distance <= limit ? best.candidate : undefined;
}

function editDistance(a: string, b: string): number {
  let previous = Array.from({ length: b.length + 1 }, (_, column) => column);
  for (let row = 1; row <= a.length; row++) {
    const current = [row];
    for (let column = 1; column <= b.length; column++) {
      const substitution = (previous[column - 1] ?? 0) + (a[row - 1] === b[column - 1] ? 0 : 1);
      const insertion = (current[column - 1] ?? 0) + 1;
      const deletion = (previous[column] ?? 0) + 1;
      current.push(Math.min(substitution, insertion, deletion));
    }
    previous = current;
  }
  return previous[b.length] ?? 0;
}

function usage(
  spec: CommandSpec,
  message: string,
): UsageError {
  return new UsageError(`${message} (see ${spec.name} --help)`);
}

function describeValue(option: OptionSpec): string {
  switch (option.type) {
    case "string":
      return "a text";
    case "boolean":
      return "a switch";
    case "choice":
      return `one of ${option.choices.join(", ")}`;
    case "strings":
      return `one or more ${
        option.choices === undefined ? "texts" : `of ${option.choices.join(", ")}`
      }, joined by commas`;
    case "integers":
      return "one or more whole numbers, joined by commas";
    case "number":
    case "integer": {
      const kind = option.type === "integer" ? "a whole number" : "a number";
      if (option.min !== undefined && option.max !== undefined) {
        return `${kind} from ${option.min} to ${option.max}`;
      }
      const bounds = [
        ["at least", option.min],
        ["above", option.above],
        ["at most", option.max],
        ["below", option.below],
      ] as const;
      const given = bounds.filter(([, bound]) => bound !== undefined);
      if (given.length === 0) return kind;
      return `${kind}, ${given.map(([words, bound]) => `${words} ${bound}`).join(" and ")}`;
    }
  }
}

/** The text that `--help` prints. */
export function formatHelp(spec: CommandSpec): string {
  const positionals = spec.positionals ?? [];
  const words = positionals.map(({ name, required, many }) => {
    const word = many ? `${name}…` : name;
    return required ? word : `[${word}]`;
  });
  const pass = spec.passThrough === undefined ? [] : [`[-- options for ${spec.passThrough}]`];
  const rows = Object.entries<OptionSpec>({ ...spec.options, ...universalOptions })
    .map(([name, option]) => {
      const short = option.short === undefined ? "    " : `-${option.short}, `;
      const value = option.type === "boolean"
        ? ""
        : ` ${option.placeholder ?? placeholder(option)}`;
      const no = option.type === "boolean" && option.default === true ? "[no-]" : "";
      return [`  ${short}--${no}${kebabCase(name)}${value}`, describeOption(option)] as const;
    });
  const sections = [
    spec.summary,
    `Usage: ${[spec.name, ...words, "[options]", ...pass].join(" ")}`,
    ...(positionals.length === 0 ? [] : [
      alignRows(positionals.map(({ name, description }) => [`  ${name}`, description])),
    ]),
    `Options:\n${alignRows(rows)}`,
    ...(spec.examples === undefined ? [] : [
      `Examples:\n${alignRows(spec.examples.map(({ command, does }) => [`  ${command}`, does]))}`,
    ]),
    ...(spec.notes === undefined ? [] : [spec.notes.join("\n")]),
  ];
  return sections.join("\n\n");
}

function placeholder(option: OptionSpec): string {
  switch (option.type) {
    case "number":
      return "NUMBER";
    case "integer":
      return "N";
    case "choice":
      return option.choices.join("|");
    case "integers":
      return "N,…";
    case "strings":
      return "TEXT,…";
    default:
      return "TEXT";
  }
}

function describeOption(option: OptionSpec): string {
  if (option.default === undefined || option.default === false) return option.description;
  if (option.type === "boolean") return `${option.description} (on by default)`;
  return `${option.description} (default ${option.default})`;
}

function alignRows(rows: readonly (readonly [string, string])[]): string {
  const width = Math.max(...rows.map(([left]) => left.length));
  return rows.map(([left, right]) => `${left.padEnd(width)}  ${right}`).join("\n");
}

/**
 * Runs a command's main function and ends the process: exit code 0, what `main` returns, 1 for an
 * error, 2 for a bad command line, 130 when interrupted. Errors a user can act on are one line.
 */
export async function runCommand(
  main: (argv: readonly string[]) => Promise<number | void> | number | void,
  argv: readonly string[] = Deno.args,
): Promise<never> {
  const own = argv[0] === "--" ? argv.slice(1) : argv;
  const end = own.indexOf("--");
  const debug = (end < 0 ? own : own.slice(0, end)).includes("--debug");
  let code = 0;
  try {
    code = await main(argv) ?? 0;
  } catch (error) {
    if (error instanceof HelpRequest) {
      console.log(error.message);
    } else {
      code = exitCodeOf(error);
      console.error(formatError(error, debug));
    }
  }
  Deno.exit(code);
}

function exitCodeOf(error: unknown): number {
  if (error instanceof UsageError) return 2;
  return error instanceof Interrupted ? INTERRUPTED : 1;
}

/** What the terminal shows of an error: one line, unless it is a bug or the stack is asked for. */
export function formatError(error: unknown, debug: boolean): string {
  if (error instanceof Interrupted) return `\n${error.message}`;
  if (!(error instanceof Error)) return `error: ${String(error)}`;
  if (debug) return `error: ${error.stack ?? error.message}`;
  const line = `error: ${error.message}`;
  return error instanceof UserError
    ? line
    : `${line}\nThis was not expected. Add --debug to see where it happened.`;
}
