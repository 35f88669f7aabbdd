/** Hashes, bytes and float32 roundings are Python's (hashlib, NumPy). */

import assert from "node:assert/strict";
import { join } from "node:path";
import { readCacheFile, writeCacheFile } from "../../lib/cache_file.ts";
import {
  type EntropyKey,
  entropyPath,
  readEntropies,
  storedEntropies,
  type WindowEstimates,
  writeEntropies,
} from "../../lib/entropy/mod.ts";
import { UserError } from "../../lib/errors.ts";
import { makeWindows, type WindowIds } from "../../lib/text/mod.ts";
import { trainTokenizer } from "../../lib/tokenizer/mod.ts";
import { withFiles } from "../text/_temporary.ts";

const key: EntropyKey = { model: "run-a", estimator: "two-window" };
const windows: WindowIds = {
  contextLength: 4,
  count: 2,
  ids: Int32Array.of(0, 5, 6, 7, 8, 9, 300, 70000),
};
const estimates: WindowEstimates = [[null, 0.1, -2.5, null], [null, 3, 1e-3, 7.25]];
/** As float32. */
const rounded: WindowEstimates = [
  [null, 0.10000000149011612, -2.5, null],
  [null, 3, 0.0010000000474974513, 7.25],
];

const IDS_SHA256 = "db6d3de4a978a05202076586c5d7d99a1f4ec7806a31f0a240c642c165495d3a";
const IDENTITY_SHA256 = "e95128c1c303205f363538cfa92d307d5a11e5390d4b2ff68f7feb2638755ed8";
const VALUES = "0000c07fcdcccc3d000020c00000c07f0000c07f000040406f12833a0000e840";

/** What a file cannot be read for, each with what the error says was expected and found. */
const OTHERS: readonly (readonly [
  name: string,
  key: EntropyKey,
  windows: WindowIds,
  told: RegExp,
])[] = [
  [
    "model",
    { ...key, model: "run-b" },
    windows,
    /expected model run-b, found run-a;/,
  ],
  [
    "estimator",
    { ...key, estimator: "second-order" },
    windows,
    /expected estimator second-order, found two-window;/,
  ],
  [
    "length of the windows",
    key,
    { ...windows, contextLength: 2, count: 4 },
    /expected contextLength 2, found 4;/,
  ],
  [
    "number of windows",
    key,
    { ...windows, count: 1, ids: windows.ids.slice(0, 4) },
    /expected count 1, found 2;/,
  ],
  [
    "token",
    key,
    { ...windows, ids: Int32Array.of(0, 5, 6, 7, 8, 9, 300, 70001) },
    new RegExp(`expected idsSha256 [0-9a-f]{64}, found ${IDS_SHA256};`),
  ],
  [
    "order of the windows",
    key,
    { ...windows, ids: Int32Array.of(8, 9, 300, 70000, 0, 5, 6, 7) },
    new RegExp(`expected idsSha256 [0-9a-f]{64}, found ${IDS_SHA256};`),
  ],
];

/** A check of an error: a UserError of one line that says this. */
function userError(told: RegExp, path = "") {
  return (error: unknown) => {
    assert.ok(error instanceof UserError, String(error));
    assert.match(error.message, told);
    assert.doesNotMatch(error.message, /\n/);
    assert.ok(error.message.startsWith(path), error.message);
    return true;
  };
}

function namesIn(folder: string): string[] {
  return [...Deno.readDirSync(folder)].map(({ name }) => name).sort();
}

Deno.test("entropyPath() is one of the folder, model, estimator, windows' shape and ids", () => {
  assert.equal(
    entropyPath("cache", key, windows),
    join("cache", `entropies-${IDENTITY_SHA256}.bin`),
  );
  const paths = OTHERS.map(([, key, windows]) => entropyPath("cache", key, windows));
  assert.equal(new Set([...paths, entropyPath("cache", key, windows)]).size, OTHERS.length + 1);
});

Deno.test("entropyPath() takes the ids alone, wherever they lie", () => {
  const longer = Int32Array.of(1, 2, ...windows.ids, 3);
  assert.equal(
    entropyPath("cache", key, {
      ...windows,
      ids: longer.subarray(2, 10),
      values: new Float32Array(8),
    }),
    entropyPath("cache", key, windows),
  );
});

Deno.test("entropyPath() refuses ids that are not the windows", () => {
  assert.throws(
    () => entropyPath("cache", key, { ...windows, ids: windows.ids.slice(1) }),
    userError(/^expected 2 windows of 4 tokens, 8 ids, found 7;/),
  );
});

Deno.test("writeEntropies() writes a line of what it is and little-endian float32", () =>
  withFiles({}, async (folder) => {
    const path = await writeEntropies(join(folder, "new"), key, windows, estimates);
    assert.equal(path, entropyPath(join(folder, "new"), key, windows));
    const content = await readCacheFile(path);
    assert.ok(content instanceof Uint8Array);
    const end = content.length - 32;
    const line = new TextDecoder().decode(content.subarray(0, end));
    assert.equal(
      line,
      `{"format":"know-your-limits entropies 1","model":"run-a","estimator":"two-window",` +
        `"contextLength":4,"count":2,"idsSha256":"${IDS_SHA256}","estimatedTokens":5,` +
        `"mean":1.5702000003075227}\n`,
    );
    assert.equal(content.subarray(end).toHex(), VALUES);
  }));

Deno.test("writeEntropies() writes the same bytes again, and nothing else", () =>
  withFiles({}, async (folder) => {
    const path = await writeEntropies(folder, key, windows, estimates);
    const first = await Deno.readFile(path);
    await Promise.all(
      Array.from({ length: 8 }, () => writeEntropies(folder, key, windows, estimates)),
    );
    assert.deepEqual(await Deno.readFile(path), first);
    assert.deepEqual(namesIn(folder).map((name) => join(folder, name)), [path]);
    assert.deepEqual(await readEntropies(path, key, windows), rounded);
  }));

Deno.test("writeEntropies() refuses estimates that are not one a token", () =>
  withFiles({}, async (folder) => {
    const [first, second] = estimates as [(number | null)[], (number | null)[]];
    const changed = (value: number | null | undefined) =>
      [first, [null, 3, value, 7.25]] as WindowEstimates;
    const refused: readonly (readonly [WindowEstimates, RegExp])[] = [
      [[first], /expected estimates of 2 windows, found 1;/],
      [[first, second, second], /expected estimates of 2 windows, found 3;/],
      [[first, second.slice(1)], /expected 4 estimates of window 1, found 3;/],
      [[[...first, 1], second.slice(1)], /expected 4 estimates of window 0, found 5;/],
      [changed(NaN), /expected a float32 or null at position 2 of window 1, found NaN;/],
      [changed(-Infinity), /at position 2 of window 1, found -Infinity;/],
      [changed(1e39), /at position 2 of window 1, found 1e\+39;/],
      [changed(undefined), /at position 2 of window 1, found undefined;/],
      // deno-lint-ignore no-sparse-arrays -- a hole is what an estimator that skips one leaves
      [[first, [null, 3, , 7.25] as number[]], /at position 2 of window 1, found undefined;/],
    ];
    for (const [wrong, told] of refused) {
      await assert.rejects(
        writeEntropies(folder, key, windows, wrong),
        userError(told, "two-window by run-a: expected "),
      );
    }
    assert.deepEqual(namesIn(folder), []);
    await writeEntropies(folder, key, windows, changed(null));
  }));

Deno.test("writeEntropies() takes windows without any estimate, and a first token's", () =>
  withFiles({}, async (folder) => {
    for (const value of [null, 1]) {
      const same = Array.from({ length: 2 }, () => Array.from({ length: 4 }, () => value));
      const path = await writeEntropies(folder, key, windows, same);
      assert.deepEqual(await readEntropies(path, key, windows), same);
    }
  }));

Deno.test("readEntropies() gives what was written, as float32, and null for no file", () =>
  withFiles({}, async (folder) => {
    assert.equal(await readEntropies(entropyPath(folder, key, windows), key, windows), null);
    const path = await writeEntropies(folder, key, windows, estimates);
    assert.deepEqual(await readEntropies(path, key, windows), rounded);
  }));

for (const [name, otherKey, otherWindows, told] of OTHERS) {
  Deno.test(`readEntropies() refuses estimates of another ${name}`, () =>
    withFiles({}, async (folder) => {
      const path = await writeEntropies(folder, key, windows, estimates);
      await assert.rejects(readEntropies(path, otherKey, otherWindows), userError(told, path));
    }));

  Deno.test(`storedEntropies() makes no estimates where a file is of another ${name}`, () =>
    withFiles({}, async (folder) => {
      const path = await writeEntropies(folder, key, windows, estimates);
      const place = entropyPath(folder, otherKey, otherWindows);
      await Deno.rename(path, place);
      const file = await Deno.readFile(place);
      await assert.rejects(
        storedEntropies(folder, otherKey, otherWindows, () => assert.fail("made")),
        userError(told, place),
      );
      assert.deepEqual(await Deno.readFile(place), file);
    }));
}

Deno.test("readEntropies() refuses every flipped byte and every cut", () =>
  withFiles({}, async (folder) => {
    const path = await writeEntropies(folder, key, windows, estimates);
    const file = await Deno.readFile(path);
    const refuses = async () => {
      await assert.rejects(
        readEntropies(path, key, windows),
        userError(/expected estimates as they were written, found a damaged file;/, path),
      );
    };
    for (let at = 0; at < file.length; at++) {
      const flipped = file.slice();
      flipped[at]! ^= 1;
      await Deno.writeFile(path, flipped);
      await refuses();
      await Deno.writeFile(path, file.subarray(0, at));
      await refuses();
    }
    await assert.rejects(
      storedEntropies(folder, key, windows, () => assert.fail("made")),
      userError(/found a damaged file; delete the file to have them estimated anew$/, path),
    );
  }));

Deno.test("readEntropies() refuses intact files of another kind or length", () =>
  withFiles({}, async (folder) => {
    const path = await writeEntropies(folder, key, windows, estimates);
    const content = await readCacheFile(path) as Uint8Array;
    const cases: readonly (readonly [Uint8Array, RegExp])[] = [
      [new Uint8Array(0), /expected format know-your-limits entropies 1, found none;/],
      [new TextEncoder().encode("{ broken\n"), /expected format .*, found none;/],
      [new TextEncoder().encode("null\n"), /expected format .*, found none;/],
      [new TextEncoder().encode('{"format":"other"}\n'), /expected format .*, found other;/],
      [content.subarray(0, content.length - 4), /expected 32 bytes of estimates, found 28;/],
      [Uint8Array.of(...content, 0, 0, 0, 0), /expected 32 bytes of estimates, found 36;/],
    ];
    for (const [wrong, told] of cases) {
      await writeCacheFile(path, wrong);
      await assert.rejects(readEntropies(path, key, windows), userError(told, path));
    }
  }));

Deno.test("storedEntropies() gives the same numbers, made or read, and makes them once", () =>
  withFiles({}, async (folder) => {
    const lines: string[] = [];
    let made = 0;
    const get = () =>
      storedEntropies(folder, key, windows, () => {
        made++;
        return Promise.resolve(estimates);
      }, { log: (line) => lines.push(line) });
    assert.deepEqual(await get(), rounded);
    assert.deepEqual(await get(), rounded);
    assert.equal(made, 1);
    assert.deepEqual(lines, ["estimating two-window of 2 windows by run-a"]);
  }));

Deno.test("storedEntropies() keeps nothing that is not one estimate a token", () =>
  withFiles({}, async (folder) => {
    const make = () => Promise.resolve(estimates.slice(1));
    await assert.rejects(
      storedEntropies(folder, key, windows, make),
      userError(/expected estimates of 2 windows, found 1;/),
    );
    assert.deepEqual(namesIn(folder), []);
  }));

Deno.test("storedEntropies() keeps those of made windows apart by their layout and length", () =>
  withFiles({}, async (folder) => {
    const tokenizer = trainTokenizer(["abc abd"], { vocabSize: 260 });
    const ids = Uint16Array.from(tokenizer.encode("abc abd abc abd"));
    const documents = {
      ids,
      offsets: Int32Array.of(0, ids.length),
      byteCount: 15,
      vocabSize: tokenizer.vocabSize,
    };
    const shapes = (["packed", "padded"] as const).flatMap((layout) =>
      [2, 3].map((contextLength) => makeWindows(documents, tokenizer, { contextLength, layout }))
    );
    const marked = ({ contextLength, count }: WindowIds, mark: number) =>
      Array.from({ length: count }, () => Array.from({ length: contextLength }, () => mark));
    for (const _ of ["made", "read"]) {
      for (const [mark, windows] of shapes.entries()) {
        const make = () => Promise.resolve(marked(windows, mark));
        assert.deepEqual(
          await storedEntropies(folder, key, windows, make),
          marked(windows, mark),
        );
      }
    }
    assert.equal(namesIn(folder).length, shapes.length);
  }));
