/**
 * Sources of known entropy: sequences whose every token has a distribution that can be computed
 * exactly, against which losses and estimates of entropy are checked. A source is described by a
 * JSON object; a `?` marks a field that may be left out, `=` its default; others are errors.
 *
 *     { "kind": "iid", "probabilities": [V numbers] }
 *     { "kind": "markov", "order"? = 1, "transitions": [V^order rows of V] }
 *     { "kind": "markov", "order"? = 1, "symbols": V, "concentration", "tableSeed"? = 0 }
 *     { "kind": "hidden-markov", "transitions": [S rows of S], "emissions": [S rows of V] }
 *     { "kind": "hidden-markov", "states": S, "symbols": V, "concentration", "tableSeed"? = 0 }
 *     { "kind": "topic", "topicBits": b, "distributions": [2^b rows of V] }
 *     { "kind": "topic", "topicBits": b, "symbols": V, "concentration", "tableSeed"? = 0 }
 *     { "kind": "corrupted-copy", "symbols": V, "corruption": share of the second half }
 *
 * each with `"length"`, the tokens in all, and `"seed"`, from which sequences are drawn. A table
 * that is not spelled out is drawn from `tableSeed`, row by row from a symmetric Dirichlet
 * distribution whose parameters are all `concentration`. Symbol s has token id s + 1: id 0 is the
 * pad.
 */

import { readFile } from "node:fs/promises";
import { UserError } from "../../errors.ts";
import {
  CORRUPTED_COPY_PARAMETERS,
  corruptedCopyProcess,
  type CorruptedCopySource,
} from "./corrupted_copy.ts";
import {
  checkHiddenMarkov,
  hiddenMarkovProcess,
  type HiddenMarkovSource,
  hiddenMarkovSymbols,
} from "./hidden_markov.ts";
import { IID_PARAMETERS, iidProcess, type IidSource } from "./iid.ts";
import { checkMarkov, markovProcess, type MarkovSource, markovSymbols } from "./markov.ts";
import { type JsonObject, readParameters, refusal } from "./parameters.ts";
import type { SourceProcess } from "./process.ts";
import { checkTopic, topicProcess, type TopicSource, topicSymbols } from "./topic.ts";

export type Source =
  | IidSource
  | MarkovSource
  | HiddenMarkovSource
  | TopicSource
  | CorruptedCopySource;

const CHECKS: Readonly<Record<Source["kind"], (object: JsonObject) => Source>> = {
  iid: (object) => readParameters(object, IID_PARAMETERS),
  markov: checkMarkov,
  "hidden-markov": checkHiddenMarkov,
  topic: checkTopic,
  "corrupted-copy": (object) => readParameters(object, CORRUPTED_COPY_PARAMETERS),
};

/**
 * The value as a source, with defaults filled in and fields in a fixed order, so that equal sources
 * are equal JSON.
 *
 * @param path Where the value comes from, for messages, e.g. `markov.json`.
 * @throws UserError of one line that names the first field that is unknown, missing or wrong, and
 *   for chains without a unique stationary distribution.
 */
export function checkSource(value: unknown, path: string): Source {
  try {
    if (typeof value !== "object" || value === null || Array.isArray(value)) {
      throw refusal("a source", "an object", value);
    }
    const object = value as JsonObject;
    const kinds = Object.keys(CHECKS);
    if (typeof object.kind !== "string" || !Object.hasOwn(CHECKS, object.kind)) {
      throw refusal("kind", `one of ${kinds.join(", ")}`, object.kind);
    }
    const source = CHECKS[object.kind as Source["kind"]](object);
    sourceProcess(source);
    return source;
  } catch (error) {
    if (error instanceof UserError) throw new UserError(`${path}: ${error.message}`);
    throw error;
  }
}

/** The tokens that a source's sequences are made of, and the pad: V + 1. */
export function sourceVocabSize(source: Source): number {
  return 1 + symbolCount(source);
}

function symbolCount(source: Source): number {
  switch (source.kind) {
    case "iid":
      return source.probabilities.length;
    case "markov":
      return markovSymbols(source);
    case "hidden-markov":
      return hiddenMarkovSymbols(source);
    case "topic":
      return topicSymbols(source);
    case "corrupted-copy":
      return source.symbols;
  }
}

/**
 * What a source does, with its tables made: once for many sequences, since that may take a second.
 *
 * @throws UserError for chains without a unique stationary distribution.
 */
export function sourceProcess(source: Source): SourceProcess {
  switch (source.kind) {
    case "iid":
      return iidProcess(source);
    case "markov":
      return markovProcess(source);
    case "hidden-markov":
      return hiddenMarkovProcess(source);
    case "topic":
      return topicProcess(source);
    case "corrupted-copy":
      return corruptedCopyProcess(source);
  }
}

/**
 * The source that a JSON file describes.
 *
 * @throws UserError for a file that cannot be read, is no JSON or describes no source.
 */
export async function readSource(path: string): Promise<Source> {
  let text: string;
  try {
    text = await readFile(path, "utf8");
  } catch (error) {
    const { code, message } = error as NodeJS.ErrnoException;
    const found = code === "ENOENT" ? "none" : message;
    throw new UserError(`${path}: expected a file that describes a source, found ${found}`);
  }
  let value: unknown;
  try {
    value = JSON.parse(text);
  } catch (error) {
    const found = (error as Error).message.replace(/\s+/g, " ");
    throw new UserError(
      `${path}: expected the JSON object of a source, found broken JSON (${found})`,
    );
  }
  return checkSource(value, path);
}
