import assert from "node:assert/strict";
import { symlink } from "node:fs/promises";
import { dirname, join } from "node:path";
import { parseCommand, UsageError } from "../../lib/cli/_args.ts";
import { checkLossOptions, lossOf, teacherOf } from "../../lib/cli/_train_loss.ts";
import { trainCommand } from "../../lib/cli/_train_options.ts";
import { UserError } from "../../lib/errors.ts";
import {
  type CorpusData,
  type DataSpec,
  prepareData,
  runId,
  type RunSpec,
  type Teacher,
} from "../../lib/experiments/mod.ts";
import { onEveryBackend } from "../_backends.ts";
import { models, storeTextRun } from "../experiments/_text_runs.ts";
import { tinyCorpus, tinySpec } from "../experiments/_tiny.ts";
import { optionsIn } from "../experiments/_tiny_runs.ts";
import { withFiles } from "../text/_temporary.ts";

const parse = (...argv: string[]) => parseCommand(trainCommand, argv);

Deno.test("lossOf() makes the loss options of the library", () => {
  const lossFrom = (...argv: string[]) => lossOf(parse(...argv).options);
  assert.deepEqual(lossFrom(), {}, "runs without options keep their ids");
  assert.deepEqual(lossFrom("--attention-dropout", "0", "--l1", "0", "--l2", "0"), {});
  assert.deepEqual(lossFrom("--objective", "one-sided"), { objective: { form: "one-sided" } });
  assert.deepEqual(lossFrom("--objective", "flooding"), { objective: { form: "flooding" } });
  assert.deepEqual(lossFrom("--objective", "absolute"), {
    objective: { form: "absolute", scale: 2.5 },
  });
  assert.deepEqual(lossFrom("--objective", "absolute", "--scale", "1"), {
    objective: { form: "absolute", scale: 1 },
  });
  assert.deepEqual(lossFrom("--objective", "below", "--threshold", "6"), {
    objective: { form: "below", threshold: 6 },
  });
  assert.deepEqual(lossFrom("--objective", "label-smoothing"), {
    objective: { form: "label-smoothing", share: 0.1 },
  });
  assert.deepEqual(lossFrom("--objective", "label-smoothing", "--smoothing", "0.2"), {
    objective: { form: "label-smoothing", share: 0.2 },
  });
  assert.deepEqual(lossFrom("--attention-dropout", "0.1", "--l2", "0.01"), {
    attentionDropout: 0.1,
    penalties: { l2: 0.01 },
  });
  assert.deepEqual(lossFrom("--l1", "0.3", "--l2", "0.4"), { penalties: { l1: 0.3, l2: 0.4 } });
});

Deno.test("checkLossOptions() names what is missing and what would do nothing", () => {
  const absolute = ["--objective", "absolute"];
  const exact = ["--entropies", "entropy"];
  const refusals: readonly (readonly [argv: string[], message: RegExp])[] = [
    [
      absolute,
      /^--objective absolute compares .*: add --entropies with the id of a run, or for a /,
    ],
    [[...absolute, "--transform", "mean"], /^--objective absolute compares /],
    [["--objective", "flooding"], /^--objective flooding compares /],
    [["--objective", "below", ...exact], /^--objective below .*: add --threshold /],
    [["--objective", "weight", ...exact], /^--objective weight .* 0 to 1: add --transform min-max/],
    [
      [...absolute, ...exact, "--transform", "mean,shuffled"],
      /^--transform mean,shuffled: after mean .* name it last/,
    ],
    [exact, /^--entropies does nothing with --objective plain; /],
    [
      ["--objective", "label-smoothing", ...exact],
      /^--entropies does nothing with --objective label-smoothing; /,
    ],
    [["--scale", "2"], /^--scale does nothing with --objective plain; /],
    [
      ["--objective", "one-sided", ...exact, "--threshold", "2"],
      /^--threshold does nothing with --objective one-sided; /,
    ],
    [[...absolute, ...exact, "--smoothing", "0.2"], /^--smoothing does nothing with /],
    [["--transform", "mean"], /^--transform does nothing with --objective plain; /],
    [["--estimator", "loss"], /^--estimator does nothing with --objective plain; /],
    [
      [...absolute, ...exact, "--estimator", "loss"],
      /^--estimator does nothing with --entropies entropy; /,
    ],
  ];
  for (const [argv, message] of refusals) {
    const { options, given } = parse(...argv);
    assert.throws(
      () => checkLossOptions(options, given),
      (error) => {
        assert.ok(error instanceof UsageError, String(error));
        assert.match(error.message, message);
        assert.match(error.message, / \(see deno task train --help\)$/);
        return true;
      },
      argv.join(" "),
    );
  }
  for (
    const argv of [
      [],
      [...absolute, ...exact, "--scale", "1", "--transform", "shuffled"],
      [...absolute, "--entropies", "RUN", "--estimator", "predictive-entropy"],
      ["--objective", "weight", "--entropies", "RUN", "--transform", "min-max,shuffled"],
      ["--objective", "weight", ...exact, "--transform", "min-max", "--transform", "mean"],
      ["--objective", "below", ...exact, "--threshold", "0"],
      ["--objective", "label-smoothing", "--smoothing", "0.2"],
    ]
  ) {
    const { options, given } = parse(...argv);
    checkLossOptions(options, given);
  }
});

const SIZES = { vocabSize: 4, layout: "packed", contextLength: 8, heldOutWindows: 4 } as const;
const IID: DataSpec = {
  known: { kind: "iid", probabilities: [0.5, 0.5], length: 400, seed: 2 },
  ...SIZES,
};
const COPY: DataSpec = {
  known: { kind: "corrupted-copy", symbols: 4, corruption: 0.5, length: 400, seed: 2 },
  ...SIZES,
};

Deno.test("teacherOf() takes the exact values of sources that have them", () =>
  withFiles(tinyCorpus(), async (folder) => {
    const of = (data: DataSpec, ...argv: string[]) =>
      teacherOf(parse("--objective", "above", ...argv).options, data, optionsIn(folder));
    assert.equal(await of(IID), undefined);
    assert.deepEqual(await of(IID, "--entropies", "surprisal"), { exact: "surprisal" });
    assert.deepEqual(await of(COPY, "--entropies", "corruption", "--transform", "min-max,mean"), {
      exact: "corruption",
      transforms: ["min-max", "mean"],
    });
    const text = tinySpec(folder, "clm").data;
    for (
      const [data, name, source, found] of [
        [IID, "corruption", "a corrupted-copy source", "iid"],
        [text, "entropy", "a source", text.corpus],
      ] as const
    ) {
      assert.equal(
        await refusalOf(of(data, "--entropies", name)),
        `--entropies ${name}: expected --corpus to name a .json file that describes ${source}, ` +
          `found ${found}; give one, or the id of a run`,
      );
    }
  }));

async function refusalOf(promise: Promise<unknown>): Promise<string> {
  const error = await promise.then(() => assert.fail("expected an error"), (error) => error);
  assert.ok(error instanceof UserError, String(error));
  assert.doesNotMatch(error.message, /\n/);
  return error.message;
}

const OTHER_TEXT = tinyCorpus()["corpus.jsonl"]!.replace("union", "onion");

/** Runs `use` with a stored run on a tiny corpus, and with what is asked of teachers there. */
function withTeacherRun(
  use: (stored: {
    folder: string;
    id: string;
    place: string;
    spec: RunSpec & { data: CorpusData };
    teacher: (name: string, data: DataSpec, ...argv: string[]) => Promise<Teacher | undefined>;
  }) => Promise<void>,
): Promise<void> {
  return withFiles({ ...tinyCorpus(), "other.jsonl": OTHER_TEXT }, async (folder) => {
    const options = optionsIn(folder);
    const clm = tinySpec(folder, "clm", { model: models.clm() });
    const id = runId(clm, (await prepareData(clm.data, options)).corpusKey);
    const place = await storeTextRun(folder, id, models.clm());
    const teacher = (name: string, data: DataSpec, ...argv: string[]) =>
      teacherOf(
        parse("--objective", "absolute", "--entropies", name, ...argv).options,
        data,
        options,
      );
    await use({ folder, id, place, spec: clm, teacher });
  });
}

onEveryBackend(
  "teacherOf() takes a stored run on the same text, by whatever path",
  () =>
    withTeacherRun(async ({ folder, id, place, spec, teacher }) => {
      const subset = { ...spec.data, trainWindows: 9 };
      for (const name of [id, place, `${place}/`]) {
        assert.deepEqual(await teacher(name, subset), { run: spec, estimator: "loss" });
      }
      assert.deepEqual(
        await teacher(id, subset, "--estimator", "predictive-entropy", "--transform", "shuffled"),
        { run: spec, estimator: "predictive-entropy", transforms: ["shuffled"] },
      );
      const link = join(folder, "link");
      await symlink(place, link);
      assert.deepEqual(await teacher(link, subset), { run: spec, estimator: "loss" });

      const moved = join(folder, "moved", "corpus.jsonl");
      await Deno.mkdir(dirname(moved));
      await Deno.rename(spec.data.corpus, moved);
      const data = { ...subset, corpus: moved, textField: "text" };
      const found = await teacher(id, data);
      assert.deepEqual(found, {
        run: { ...spec, data: { ...spec.data, corpus: moved, textField: "text" } },
        estimator: "loss",
      });
    }),
  { only: ["cpu"] },
);

onEveryBackend(
  "teacherOf() moves the runs that a run needed, too",
  () =>
    withTeacherRun(async ({ folder, id, place, spec, teacher }) => {
      const { corpusKey } = await prepareData(spec.data, optionsIn(folder));
      const moved = join(folder, "moved", "corpus.jsonl");
      await Deno.mkdir(dirname(moved));
      await Deno.rename(spec.data.corpus, moved);
      const student: RunSpec = { ...spec, teacher: { run: spec, estimator: "loss" } };
      const studentId = runId(student, corpusKey);
      const config = JSON.parse(await Deno.readTextFile(join(place, "config.json")));
      const studentPlace = join(folder, "runs", studentId);
      await Deno.rename(place, studentPlace);
      await Deno.writeTextFile(
        join(studentPlace, "config.json"),
        JSON.stringify({ ...config, id: studentId, spec: student }),
      );
      const { run } = await teacher(studentId, { ...spec.data, corpus: moved }) as { run: RunSpec };
      assert.ok(run.teacher !== undefined && "run" in run.teacher);
      for (const { data } of [run, run.teacher.run]) {
        assert.equal((data as CorpusData).corpus, moved);
      }
      assert.equal(runId(run, corpusKey), studentId);
      assert.equal(runId(run.teacher.run, corpusKey), id);
    }),
  { only: ["cpu"] },
);

onEveryBackend(
  "teacherOf() says in one line why a run cannot rate the data",
  () =>
    withTeacherRun(async ({ folder, id, place, spec, teacher }) => {
      const { data } = spec;
      const other = join(folder, "other.jsonl");
      const elsewhere = join(folder, "elsewhere");
      const start = `--entropies ${id}: expected a run`;
      const refusals: readonly (readonly [data: DataSpec, message: string])[] = [
        [
          { ...data, contextLength: 7 },
          `${start} with --context 7, found --context 8; use the same for both`,
        ],
        [
          { ...data, layout: "padded", vocabSize: 300, unit: "sentence" },
          `${start} with --layout padded --vocabulary 300 --unit sentence, found --layout packed ` +
          "--vocabulary 270 --unit document; use the same for both",
        ],
        [
          { ...data, corpus: other },
          `${start} of this version of the code on this very text or source (${other}), found ` +
          `another (${data.corpus}); choose another run or train it anew`,
        ],
        [
          IID,
          `${start} of this version of the code on this very text or source (iid source), found ` +
          `another (${data.corpus}); choose another run or train it anew`,
        ],
      ];
      for (const [data, message] of refusals) {
        assert.equal(await refusalOf(teacher(id, data)), message);
      }
      assert.match(
        await refusalOf(teacher("no-run", data)),
        /^no-run: expected the folder or the id/,
      );
      await Deno.rename(place, elsewhere);
      assert.equal(
        await refusalOf(teacher(elsewhere, data)),
        `--entropies ${elsewhere}: expected run ${id} to be in ${place}, found ${elsewhere}; copy it ` +
          "there",
      );
      await Deno.rename(elsewhere, place);
      await Deno.remove(join(place, "model.safetensors"));
      assert.match(
        await refusalOf(teacher(id, data)),
        /: expected a run that has ended, found no wei/,
      );
    }),
  { only: ["cpu"] },
);
