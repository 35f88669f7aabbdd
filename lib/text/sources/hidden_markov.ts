/**
 * A hidden Markov chain: a state, started from the stationary distribution, that emits a symbol and
 * then moves. What the symbols tell about the state is followed by the forward algorithm.
 */

import { UserError } from "../../errors.ts";
import { drawnTable, type DrawnTables, indexSampler, mixture, normalized } from "./distribution.ts";
import {
  checkTableSize,
  DRAWN_TABLES,
  EXTENT,
  type Extent,
  fixed,
  hasTables,
  integer,
  type JsonObject,
  readParameters,
  SYMBOLS,
  table,
} from "./parameters.ts";
import type { SourceProcess } from "./process.ts";
import { type ChainStep, stationaryDistribution } from "./stationary.ts";

type Hidden = Extent & Readonly<{ kind: "hidden-markov" }>;
type GivenHiddenMarkov =
  & Hidden
  & Readonly<{
    /** States × states. */
    transitions: readonly (readonly number[])[];
    /** States × symbols. */
    emissions: readonly (readonly number[])[];
  }>;
type DrawnHiddenMarkov = Hidden & DrawnTables & Readonly<{ states: number; symbols: number }>;

export type HiddenMarkovSource = GivenHiddenMarkov | DrawnHiddenMarkov;

/** @throws UserError for the first field that is unknown, missing or wrong. */
export function checkHiddenMarkov(object: JsonObject): HiddenMarkovSource {
  if (!hasTables(object, "transitions", "emissions")) {
    const source = readParameters<DrawnHiddenMarkov>(object, {
      kind: fixed("hidden-markov"),
      states: integer({ least: 1 }),
      symbols: SYMBOLS,
      ...DRAWN_TABLES,
      ...EXTENT,
    });
    checkTableSize("states", source.states, source.states);
    checkTableSize("symbols", source.states, source.symbols);
    return source;
  }
  const source = readParameters<GivenHiddenMarkov>(object, {
    kind: fixed("hidden-markov"),
    transitions: table(1),
    emissions: table(2),
    ...EXTENT,
  });
  const states = source.transitions.length;
  if (source.transitions[0]!.length !== states) {
    throw new UserError(
      `transitions: expected as many columns as rows, found ${source.transitions[0]!.length} ` +
        `columns and ${states} rows`,
    );
  }
  if (source.emissions.length !== states) {
    throw new UserError(
      `emissions: expected ${states} rows, one for each state of transitions, found ` +
        `${source.emissions.length}`,
    );
  }
  return source;
}

export function hiddenMarkovSymbols(source: HiddenMarkovSource): number {
  return "emissions" in source ? source.emissions[0]!.length : source.symbols;
}

/** @throws UserError when the states have no unique stationary distribution. */
export function hiddenMarkovProcess(source: HiddenMarkovSource): SourceProcess {
  const symbolCount = hiddenMarkovSymbols(source);
  const { transitions, emissions } = tablesOf(source, symbolCount);
  const stationary = stationaryDistribution(transitions.length, stateSteps(transitions));
  const sampleStart = indexSampler(stationary);
  const sampleNext = transitions.map(indexSampler);
  const sampleSymbol = emissions.map(indexSampler);
  return {
    symbolCount,
    entropyRateNats: null,
    meanEntropyNats: null,
    draw: (length, random) => {
      let state = sampleStart(random);
      return Int32Array.from({ length }, () => {
        const symbol = sampleSymbol[state]!(random);
        state = sampleNext[state]!(random);
        return symbol;
      });
    },
    *conditionals(symbols) {
      let belief = stationary;
      for (let t = 0; t < symbols.length; t++) {
        yield mixture(belief, emissions);
        const seen = normalized(
          belief.map((share, state) => share * emissions[state]![symbols[t]!]!),
        );
        belief = mixture(seen, transitions);
      }
    },
    corrupted: null,
  };
}

function tablesOf(source: HiddenMarkovSource, symbolCount: number) {
  if ("emissions" in source) {
    const { transitions, emissions } = source;
    return { transitions: transitions.map(normalized), emissions: emissions.map(normalized) };
  }
  const { states } = source;
  return {
    transitions: drawnTable("transitions", [states, states], source),
    emissions: drawnTable("emissions", [states, symbolCount], source),
  };
}

function* stateSteps(transitions: readonly Float64Array[]): Generator<ChainStep> {
  for (const [from, row] of transitions.entries()) {
    for (let to = 0; to < row.length; to++) yield [from, to, row[to]!];
  }
}
