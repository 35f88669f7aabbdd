/**
 * Tiny sources, and the probability of every sequence that they can make, by summing over all that
 * is hidden. Nothing here is the library's.
 */

import type { Source } from "../../../lib/text/mod.ts";

const EXTENT = { length: 1000, seed: 7 };

/** Every kind with tables of two or three symbols, some with zeros. */
export const TINY: Readonly<Record<string, Source>> = {
  iid: { kind: "iid", probabilities: [0.5, 0.3, 0.2], ...EXTENT },
  "iid with a symbol that is never drawn": {
    kind: "iid",
    probabilities: [0, 0.9, 0.1],
    ...EXTENT,
  },
  "markov of order 1": {
    kind: "markov",
    order: 1,
    transitions: [[0.7, 0.2, 0.1], [0.1, 0.1, 0.8], [0.45, 0.3, 0.25]],
    ...EXTENT,
  },
  "markov of order 1 with a period": {
    kind: "markov",
    order: 1,
    transitions: [[0, 1, 0], [0.4, 0, 0.6], [0, 1, 0]],
    ...EXTENT,
  },
  "markov of order 2": {
    kind: "markov",
    order: 2,
    transitions: [[0.9, 0.1], [0.35, 0.65], [0.2, 0.8], [0.55, 0.45]],
    ...EXTENT,
  },
  "markov of order 3": {
    kind: "markov",
    order: 3,
    transitions: [0.9, 0.15, 0.3, 0.6, 0.25, 0.7, 0.4, 0.05].map((one) => [one, 1 - one]),
    ...EXTENT,
  },
  "hidden markov": {
    kind: "hidden-markov",
    transitions: [[0.8, 0.15, 0.05], [0.1, 0.6, 0.3], [0.25, 0.25, 0.5]],
    emissions: [[0.7, 0.2, 0.1], [0.1, 0.1, 0.8], [0, 0.9, 0.1]],
    ...EXTENT,
  },
  topic: {
    kind: "topic",
    topicBits: 2,
    distributions: [[0.6, 0.3, 0.1], [0.1, 0.8, 0.1], [0.2, 0, 0.8], [0.3, 0.3, 0.4]],
    ...EXTENT,
  },
  "corrupted copy": { kind: "corrupted-copy", symbols: 3, corruption: 0.4, ...EXTENT },
  "copy without errors": { kind: "corrupted-copy", symbols: 3, corruption: 0, ...EXTENT },
};

/** All sequences of N symbols. */
export function allSequences(symbolCount: number, length: number): number[][] {
  if (length === 0) return [[]];
  return allSequences(symbolCount, length - 1).flatMap((beginning) =>
    Array.from({ length: symbolCount }, (_, symbol) => [...beginning, symbol])
  );
}

/** The stationary distribution of a dense chain: elimination on π(P − I) = 0, Σπ = 1. */
export function solveStationary(rows: readonly (readonly number[])[]): number[] {
  const n = rows.length;
  const system = Array.from({ length: n }, (_, j) => [
    ...rows.map((row, i) => j === n - 1 ? 1 : row[j]! - (i === j ? 1 : 0)),
    j === n - 1 ? 1 : 0,
  ]);
  for (let column = 0; column < n; column++) {
    const pivot = system.findIndex((row, i) => i >= column && Math.abs(row[column]!) > 1e-12);
    [system[column], system[pivot]] = [system[pivot]!, system[column]!];
    for (let i = 0; i < n; i++) {
      if (i === column) continue;
      const factor = system[i]![column]! / system[column]![column]!;
      system[i] = system[i]!.map((value, j) => value - factor * system[column]![j]!);
    }
  }
  return system.map((row, i) => row[n]! / row[i]!);
}

/** The probability that a sequence of N is this one. */
export function jointProbability(source: Source, symbols: readonly number[]): number {
  switch (source.kind) {
    case "iid":
      return product(symbols.map((symbol) => source.probabilities[symbol]!));
    case "markov":
      return markovProbability(source, symbols);
    case "hidden-markov":
      return hiddenProbability(source, symbols);
    case "topic": {
      if (!("distributions" in source)) throw new RangeError("expected tables");
      const ofTopics = source.distributions.map((topic) =>
        product(symbols.map((symbol) => topic[symbol]!))
      );
      return ofTopics.reduce((a, b) => a + b) / ofTopics.length;
    }
    case "corrupted-copy": {
      const half = Math.ceil(symbols.length / 2);
      const choices = allSequences(2, symbols.length - half).map((isCorrupted) =>
        product(
          isCorrupted.map((corrupted, i) =>
            corrupted === 1
              ? source.corruption / source.symbols
              : symbols[half + i] === symbols[i]
              ? 1 - source.corruption
              : 0
          ),
        )
      );
      return choices.reduce((a, b) => a + b) / source.symbols ** half;
    }
  }
}

function markovProbability(
  source: Extract<Source, { kind: "markov" }>,
  symbols: readonly number[],
): number {
  if (!("transitions" in source)) throw new RangeError("expected tables");
  const { order, transitions } = source;
  const contexts = allSequences(transitions[0]!.length, order);
  const numberOf = new Map(contexts.map((context, index) => [context.join(), index]));
  const dense = contexts.map((context, index) =>
    contexts.map((next) =>
      next.slice(0, -1).join() === context.slice(1).join() ? transitions[index]![next.at(-1)!]! : 0
    )
  );
  const stationary = solveStationary(dense);
  if (symbols.length <= order) {
    return contexts.reduce(
      (sum, context, index) =>
        context.slice(0, symbols.length).join() === symbols.join() ? sum + stationary[index]! : sum,
      0,
    );
  }
  const start = stationary[numberOf.get(symbols.slice(0, order).join())!]!;
  const steps = symbols.slice(order).map((symbol, i) =>
    transitions[numberOf.get(symbols.slice(i, i + order).join())!]![symbol]!
  );
  return start * product(steps);
}

function hiddenProbability(
  source: Extract<Source, { kind: "hidden-markov" }>,
  symbols: readonly number[],
): number {
  if (!("transitions" in source)) throw new RangeError("expected tables");
  const { transitions, emissions } = source;
  const stationary = solveStationary(transitions);
  return allSequences(transitions.length, symbols.length).reduce((sum, path) => {
    const moves = path.slice(1).map((state, t) => transitions[path[t]!]![state]!);
    const emitted = path.map((state, t) => emissions[state]![symbols[t]!]!);
    return sum + stationary[path[0]!]! * product(moves) * product(emitted);
  }, 0);
}

function product(values: readonly number[]): number {
  return values.reduce((a, b) => a * b, 1);
}
