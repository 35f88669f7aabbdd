/**
 * A latent topic: one of 2^b, drawn uniformly for a sequence and kept through it. Given the topic
 * the symbols are independent. What they tell about it is followed by Bayes' rule; the entropy of a
 * token falls from that of the mixture to that of the topic, and b bits at most are learned.
 */

import { UserError } from "../../errors.ts";
import {
  drawnTable,
  type DrawnTables,
  entropyNats,
  indexSampler,
  mixture,
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

/** b: there are 2^b topics. */
type Topics = Extent & Readonly<{ kind: "topic"; topicBits: number }>;
/** One row a topic. */
type GivenTopics = Topics & Readonly<{ distributions: readonly (readonly number[])[] }>;
type DrawnTopics = Topics & DrawnTables & Readonly<{ symbols: number }>;

export type TopicSource = GivenTopics | DrawnTopics;

const TOPIC_BITS = integer({ least: 1, most: 16 });

/** @throws UserError for the first field that is unknown, missing or wrong. */
export function checkTopic(object: JsonObject): TopicSource {
  if (!hasTables(object, "distributions")) {
    const source = readParameters<DrawnTopics>(object, {
      kind: fixed("topic"),
      topicBits: TOPIC_BITS,
      symbols: SYMBOLS,
      ...DRAWN_TABLES,
      ...EXTENT,
    });
    checkTableSize("topicBits", 2 ** source.topicBits, source.symbols);
    return source;
  }
  const source = readParameters<GivenTopics>(object, {
    kind: fixed("topic"),
    topicBits: TOPIC_BITS,
    distributions: table(2),
    ...EXTENT,
  });
  const topics = 2 ** source.topicBits;
  if (source.distributions.length !== topics) {
    throw new UserError(
      `distributions: expected ${topics} rows, one for each topic of ${source.topicBits} bits, ` +
        `found ${source.distributions.length}`,
    );
  }
  return source;
}

export function topicSymbols(source: TopicSource): number {
  return "distributions" in source ? source.distributions[0]!.length : source.symbols;
}

export function topicProcess(source: TopicSource): SourceProcess {
  const symbolCount = topicSymbols(source);
  const topicCount = 2 ** source.topicBits;
  const topics = "distributions" in source
    ? source.distributions.map(normalized)
    : drawnTable("distributions", [topicCount, symbolCount], source);
  const samplers = topics.map(indexSampler);
  return {
    symbolCount,
    entropyRateNats: topics.reduce((sum, topic) => sum + entropyNats(topic), 0) / topicCount,
    meanEntropyNats: null,
    draw: (length, random) => {
      const topic = random.bits() >>> (32 - source.topicBits);
      return Int32Array.from({ length }, () => samplers[topic]!(random));
    },
    *conditionals(symbols) {
      let belief: Float64Array = new Float64Array(topicCount).fill(1 / topicCount);
      for (let t = 0; t < symbols.length; t++) {
        yield mixture(belief, topics);
        belief = normalized(belief.map((share, topic) => share * topics[topic]![symbols[t]!]!));
      }
    },
    corrupted: null,
  };
}
