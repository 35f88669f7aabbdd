/**
 * A Markov chain of order k: every symbol depends on the k before it. A sequence starts with k
 * symbols of the stationary distribution over contexts, of which it therefore sees the marginals.
 *
 * A context of symbols s₁ … s_k, the latest last, has number s₁·V^(k−1) + … + s_k.
 */

import { UserError } from "../../errors.ts";
import {
  drawnTable,
  type DrawnTables,
  entropyNats,
  indexSampler,
  normalized,
} from "./distribution.ts";
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

type Order = Extent & Readonly<{ kind: "markov"; order: number }>;
/** One row a context, V^order of them. */
type GivenMarkov = Order & Readonly<{ transitions: readonly (readonly number[])[] }>;
type DrawnMarkov = Order & DrawnTables & Readonly<{ symbols: number }>;

export type MarkovSource = GivenMarkov | DrawnMarkov;

const ORDER = integer({ least: 1, most: 20, byDefault: 1 });

/** @throws UserError for the first field that is unknown, missing or wrong. */
export function checkMarkov(object: JsonObject): MarkovSource {
  if (!hasTables(object, "transitions")) {
    const source = readParameters<DrawnMarkov>(object, {
      kind: fixed("markov"),
      order: ORDER,
      symbols: SYMBOLS,
      ...DRAWN_TABLES,
      ...EXTENT,
    });
    checkTableSize("symbols", source.symbols ** source.order, source.symbols);
    return source;
  }
  const source = readParameters<GivenMarkov>(object, {
    kind: fixed("markov"),
    order: ORDER,
    transitions: table(2),
    ...EXTENT,
  });
  const rows = source.transitions.length, columns = source.transitions[0]!.length;
  if (rows !== columns ** source.order) {
    throw new UserError(
      `transitions: expected ${columns ** source.order} rows of ${columns}, one for each context ` +
        `of order ${source.order}, found ${rows}`,
    );
  }
  return source;
}

export function markovSymbols(source: MarkovSource): number {
  return "transitions" in source ? source.transitions[0]!.length : source.symbols;
}

/** @throws UserError when the chain has no unique stationary distribution. */
export function markovProcess(source: MarkovSource): SourceProcess {
  const { order } = source;
  const symbolCount = markovSymbols(source);
  const contextCount = symbolCount ** order;
  const rows = "transitions" in source
    ? source.transitions.map(normalized)
    : drawnTable("transitions", [contextCount, symbolCount], source);
  const stationary = stationaryDistribution(contextCount, contextSteps(rows));
  const marginals = beginnings(stationary, symbolCount, order);
  const beginningNats = marginals.map(entropyNats);
  const rateNats = rows.reduce((sum, row, c) => sum + stationary[c]! * entropyNats(row), 0);
  const sampleContext = indexSampler(stationary);
  const samplers = rows.map(indexSampler);
  return {
    symbolCount,
    entropyRateNats: rateNats,
    meanEntropyNats: (length) => {
      const known = Math.min(length, order);
      // Of the first k symbols, all but the first: the chain rule.
      const start = beginningNats[known]! - beginningNats[1]!;
      return (start + (length - known) * rateNats) / (length - 1);
    },
    draw: (length, random) => {
      const drawn = new Int32Array(length);
      let context = sampleContext(random);
      for (let t = 0; t < Math.min(length, order); t++) {
        drawn[t] = Math.floor(context / symbolCount ** (order - 1 - t)) % symbolCount;
      }
      for (let t = order; t < length; t++) {
        drawn[t] = samplers[context]!(random);
        context = (context * symbolCount + drawn[t]!) % contextCount;
      }
      return drawn;
    },
    *conditionals(symbols) {
      let context = 0;
      for (let t = 0; t < symbols.length; t++) {
        if (t < order) {
          const first = context * symbolCount;
          yield normalized(marginals[t + 1]!.subarray(first, first + symbolCount));
        } else {
          yield rows[context]!;
        }
        context = (context * symbolCount + symbols[t]!) % contextCount;
      }
    },
    corrupted: null,
  };
}

function* contextSteps(rows: readonly Float64Array[]): Generator<ChainStep> {
  for (const [context, row] of rows.entries()) {
    for (let symbol = 0; symbol < row.length; symbol++) {
      yield [context, (context * row.length + symbol) % rows.length, row[symbol]!];
    }
  }
}

/** The distributions of the first 0, 1, … k symbols of a context, V^t numbers each. */
function beginnings(stationary: Float64Array, symbolCount: number, order: number): Float64Array[] {
  return Array.from({ length: order + 1 }, (_, t) => {
    const rest = symbolCount ** (order - t);
    const shares = new Float64Array(symbolCount ** t);
    stationary.forEach((share, context) => shares[Math.floor(context / rest)]! += share);
    return shares;
  });
}
