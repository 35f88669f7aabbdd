import assert from "node:assert/strict";
import { join } from "node:path";
import { UserError } from "../../../lib/errors.ts";
import {
  checkSource,
  readSource,
  type Source,
  sourceProcess,
  sourceVocabSize,
} from "../../../lib/text/mod.ts";
import { withFiles } from "../_temporary.ts";
import { TINY } from "./_brute_force.ts";

const EXTENT = { length: 100, seed: 3 };
const DRAWN = { symbols: 5, concentration: 0.5 };

/** Sources whose tables are drawn. */
const DRAWN_SOURCES: readonly object[] = [
  { kind: "markov", order: 2, ...DRAWN, ...EXTENT },
  { kind: "hidden-markov", states: 3, ...DRAWN, ...EXTENT },
  { kind: "topic", topicBits: 3, ...DRAWN, ...EXTENT },
];

Deno.test("checkSource() takes what describes a source, and gives it back", () => {
  for (const [name, source] of Object.entries(TINY)) {
    assert.deepEqual(checkSource(source, name), source);
    assert.equal(sourceVocabSize(source), sourceProcess(source).symbolCount + 1, name);
  }
  for (const value of DRAWN_SOURCES) {
    const source = checkSource(value, "drawn");
    assert.deepEqual(source, { ...value, tableSeed: 0 });
    assert.equal(sourceVocabSize(source), 6);
    assert.equal(sourceProcess(source).symbolCount, 5);
  }
});

Deno.test("checkSource() makes equal sources equal JSON", () => {
  const text = (value: object): string => JSON.stringify(checkSource(value, "source"));
  const transitions = [[0.1, 0.9], [0.4, 0.6]];
  const markov = text({ kind: "markov", order: 1, transitions, length: 9, seed: 2 });
  assert.equal(text({ seed: 2, length: 9, transitions, kind: "markov" }), markov);
  const [, drawn] = DRAWN_SOURCES;
  assert.equal(text({ tableSeed: 0, ...drawn }), text(drawn!));
});

/** What is wrong, and the line that says so after "source.json: ". */
const REFUSED: readonly (readonly [value: unknown, message: string])[] = [
  [[1], "a source: expected an object, found [1]"],
  [null, "a source: expected an object, found null"],
  [{}, "kind: expected one of iid, markov, hidden-markov, topic, corrupted-copy, found nothing"],
  [
    { ...TINY.iid, kind: "toString" },
    'kind: expected one of iid, markov, hidden-markov, topic, corrupted-copy, found "toString"',
  ],
  [
    { ...TINY.iid, probabilites: [1] },
    "probabilites: unknown field; known here are kind, probabilities, length, seed",
  ],
  [
    { kind: "iid", ...EXTENT },
    "probabilities: expected a list of 2 probabilities or more, found nothing",
  ],
  [
    { ...TINY.iid, probabilities: [1] },
    "probabilities: expected a list of 2 probabilities or more, found [1]",
  ],
  [
    { ...TINY.iid, probabilities: [0.5, 0.4] },
    "probabilities: expected probabilities with a sum of 1, found one of 0.9",
  ],
  [
    { ...TINY.iid, probabilities: [1.5, -0.5] },
    "probabilities[0]: expected a number from 0 to 1, found 1.5",
  ],
  [
    { ...TINY.iid, probabilities: [0.5, "0.5"] },
    'probabilities[1]: expected a number from 0 to 1, found "0.5"',
  ],
  [
    { ...TINY.iid, length: 0 },
    "length: expected an integer from 1 to 268435456, found 0",
  ],
  [{ ...TINY.iid, length: 1e12 }, /^length: expected an integer from/.source],
  [{ ...TINY.iid, seed: 0.5 }, "seed: expected an integer, found 0.5"],
  [{ ...TINY.iid, seed: undefined }, "seed: expected an integer, found nothing"],
  [
    { kind: "markov", transitions: [], ...EXTENT },
    "transitions: expected a list of rows of probabilities, found []",
  ],
  [
    { kind: "markov", transitions: [[0.5, 0.5], [0.2, 0.7]], ...EXTENT },
    "transitions[1]: expected probabilities with a sum of 1, found one of 0.9",
  ],
  [
    { kind: "markov", transitions: [[0.5, 0.5], [0.2, 0.3, 0.5]], ...EXTENT },
    "transitions[1]: expected 2 probabilities, as in transitions[0], found 3",
  ],
  [
    { kind: "markov", order: 2, transitions: [[0.5, 0.5], [0.2, 0.8]], ...EXTENT },
    "transitions: expected 4 rows of 2, one for each context of order 2, found 2",
  ],
  [
    { kind: "markov", order: 0, transitions: [[0.5, 0.5]], ...EXTENT },
    "order: expected an integer from 1 to 20, found 0",
  ],
  [
    { kind: "markov", ...EXTENT },
    "expected transitions, or a concentration to draw with, found neither",
  ],
  [
    { kind: "markov", transitions: [[0.5, 0.5], [0.2, 0.8]], symbols: 2, ...EXTENT },
    "symbols: unknown field; known here are kind, order, transitions, length, seed",
  ],
  [
    { kind: "markov", concentration: 0, symbols: 2, ...EXTENT },
    "concentration: expected a positive number, found 0",
  ],
  [
    { kind: "markov", concentration: 1, symbols: 1, ...EXTENT },
    "symbols: expected an integer of 2 or more, found 1",
  ],
  [
    { kind: "markov", concentration: 1, symbols: 1000, order: 2, ...EXTENT },
    "symbols: expected a table of at most 262144 probabilities to be drawn, found 1000000 rows " +
    "of 1000; use fewer symbols",
  ],
  [
    { kind: "markov", transitions: [[1, 0], [0, 1]], ...EXTENT },
    "expected a chain with one stationary distribution, found parts that are never left for each " +
    "other; make steps between them possible",
  ],
  [
    { kind: "hidden-markov", ...EXTENT },
    "expected transitions and emissions, or a concentration to draw with, found neither",
  ],
  [
    { kind: "hidden-markov", transitions: [[1]], ...EXTENT },
    "emissions: expected a list of rows of probabilities, found nothing",
  ],
  [
    {
      kind: "hidden-markov",
      transitions: [[0.5, 0.5]],
      emissions: [[0.5, 0.5]],
      ...EXTENT,
    },
    "transitions: expected as many columns as rows, found 2 columns and 1 rows",
  ],
  [
    { kind: "hidden-markov", transitions: [[1]], emissions: [[0.5, 0.5], [1, 0]], ...EXTENT },
    "emissions: expected 1 rows, one for each state of transitions, found 2",
  ],
  [
    {
      kind: "hidden-markov",
      transitions: [[1, 0], [0, 1]],
      emissions: [[0.5, 0.5], [1, 0]],
      ...EXTENT,
    },
    "expected a chain with one stationary distribution, found parts that are never left for each " +
    "other; make steps between them possible",
  ],
  [
    { kind: "topic", topicBits: 2, distributions: [[0.5, 0.5], [1, 0]], ...EXTENT },
    "distributions: expected 4 rows, one for each topic of 2 bits, found 2",
  ],
  [
    { kind: "topic", topicBits: 0, distributions: [[0.5, 0.5]], ...EXTENT },
    "topicBits: expected an integer from 1 to 16, found 0",
  ],
  [
    { kind: "corrupted-copy", symbols: 4, corruption: 1.2, ...EXTENT },
    "corruption: expected a number from 0 to 1, found 1.2",
  ],
];

Deno.test("checkSource() names the first thing that is wrong, in one line", () => {
  for (const [value, message] of REFUSED) {
    assert.throws(
      () => checkSource(value, "source.json"),
      (error) => {
        assert.ok(error instanceof UserError);
        const [path, ...rest] = error.message.split(": ");
        assert.equal(path, "source.json");
        const found = rest.join(": ");
        if (message.startsWith("^")) assert.match(found, new RegExp(message));
        else assert.equal(found, message);
        return true;
      },
    );
  }
});

Deno.test("checkSource() takes probabilities off by a digit and scales them", () => {
  const third = 0.333333;
  const source = checkSource(
    { kind: "iid", probabilities: [third, third, third], ...EXTENT },
    "thirds",
  );
  const { entropyRateNats } = sourceProcess(source);
  assert.ok(Math.abs(entropyRateNats! - Math.log(3)) < 1e-12);
});

Deno.test("readSource() reads a file, or says what is wrong with it", () =>
  withFiles({
    "iid.json": JSON.stringify(TINY.iid),
    "broken.json": '{ "kind": "iid",',
    "wrong.json": JSON.stringify({ ...TINY.iid, seed: "a" }),
  }, async (folder) => {
    const read = (name: string): Promise<Source> => readSource(join(folder, name));
    assert.deepEqual(await read("iid.json"), TINY.iid);
    const refused = [
      ["absent.json", /absent\.json: expected a file that describes a source, found none$/],
      [".", /: expected a file that describes a source, found [^\n]*directory[^\n]*$/],
      ["broken.json", /broken\.json: expected the JSON object of a source, found broken JSON \(/],
      ["wrong.json", /wrong\.json: seed: expected an integer, found "a"$/],
    ] as const;
    for (const [name, message] of refused) {
      await assert.rejects(
        read(name),
        (error) => error instanceof UserError && message.test(error.message),
        name,
      );
    }
  }));
