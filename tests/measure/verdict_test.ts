import assert from "node:assert/strict";
import { UserError } from "../../lib/errors.ts";
import { type ClaimEvidence, judgeClaim, type Verdict } from "../../lib/measure/verdict.ts";

const cases: readonly [
  verdict: Verdict,
  direction: ClaimEvidence["paperDirection"],
  mean: number,
  interval: readonly [number, number] | null,
][] = [
  ["reproduced", "positive", 0.2, [0.1, 0.3]],
  ["reproduced", "negative", -0.2, [-0.3, -0.1]],
  ["trend only", "positive", 0.2, [-0.1, 0.5]],
  ["trend only", "negative", -0.2, [-0.5, 0.1]],
  ["trend only", "positive", 0.2, [0, 0.4]],
  ["trend only", "negative", -0.2, [-0.4, 0]],
  ["trend only", "positive", 0.2, null],
  ["trend only", "negative", -0.2, null],
  ["not reproduced", "positive", -0.2, [-0.5, 0.1]],
  ["not reproduced", "positive", -0.2, [-0.3, -0.1]],
  ["not reproduced", "negative", 0.2, [0.1, 0.3]],
  ["not reproduced", "negative", 0.2, null],
  ["not reproduced", "positive", 0, [-0.1, 0.1]],
  ["not reproduced", "negative", 0, null],
];

/** With a margin of 0.1. */
const casesWithMargin: typeof cases = [
  // "Best or tied": nothing but a clear loss is against it.
  ["reproduced", "positive", 0.02, [-0.05, 0.09]],
  ["reproduced", "positive", -0.05, [-0.09, -0.01]],
  ["reproduced", "negative", 0.05, [0.01, 0.09]],
  ["trend only", "positive", -0.05, [-0.2, 0.1]],
  ["trend only", "positive", -0.05, [-0.1, 0]],
  ["trend only", "negative", 0.05, [-0.1, 0.2]],
  ["trend only", "positive", -0.05, null],
  ["not reproduced", "positive", -0.1, [-0.2, 0]],
  ["not reproduced", "positive", -0.15, [-0.4, 0.1]],
  ["not reproduced", "negative", 0.15, [0.12, 0.18]],
  ["not reproduced", "negative", 0.1, null],
  // "Hardly any": neither much above nor much below 0.
  ["reproduced", "none", 0, [-0.09, 0.09]],
  ["reproduced", "none", 0.05, [0.01, 0.09]],
  ["reproduced", "none", -0.05, [-0.09, -0.01]],
  ["trend only", "none", 0.05, [-0.02, 0.12]],
  ["trend only", "none", -0.05, [-0.12, 0.02]],
  ["trend only", "none", 0.05, [0, 0.1]],
  ["trend only", "none", 0, [-1, 1]],
  ["trend only", "none", 0.02, null],
  ["not reproduced", "none", 0.15, [0.05, 0.25]],
  ["not reproduced", "none", -0.15, [-0.25, -0.05]],
  ["not reproduced", "none", 0.1, [0.05, 0.15]],
  ["not reproduced", "none", -0.1, null],
];

for (const [margin, list] of [[undefined, cases], [0.1, casesWithMargin]] as const) {
  for (const [verdict, paperDirection, mean, bounds] of list) {
    const found = bounds === null ? "no interval" : `[${bounds.join(", ")}]`;
    const paper = margin === undefined ? paperDirection : `${paperDirection} within ${margin}`;
    Deno.test(`judgeClaim() says "${verdict}" for ${paper}, ${mean}, ${found}`, () => {
      const interval = bounds === null ? null : { low: bounds[0], high: bounds[1] };
      const claim = { paperDirection, comparable: true, mean, interval };
      assert.equal(judgeClaim(margin === undefined ? claim : { ...claim, margin }), verdict);
    });
  }
}

Deno.test("judgeClaim() refuses hardly any effect without saying how much that is", () => {
  const claim = { paperDirection: "none", comparable: true, mean: 0, interval: null } as const;
  for (const [margin, found] of [[undefined, "0"], [0, "0"], [-0.1, "-0.1"], [NaN, "NaN"]]) {
    assert.throws(
      () => judgeClaim(margin === undefined ? claim : { ...claim, margin: Number(margin) }),
      (error) =>
        error instanceof UserError &&
        error.message === `a claim of hardly any effect: expected a margin above 0, found ${found}`,
    );
  }
  assert.equal(judgeClaim({ ...claim, comparable: false }), "not comparable");
});

Deno.test("judgeClaim() says not comparable before looking at any number", () => {
  assert.equal(
    judgeClaim({
      paperDirection: "positive",
      comparable: false,
      mean: NaN,
      interval: { low: 1, high: 2 },
    }),
    "not comparable",
  );
});

Deno.test("judgeClaim() refuses a mean that is no number or lies outside its interval", () => {
  const claim = { paperDirection: "positive", comparable: true } as const;
  for (
    const [mean, interval] of [
      [NaN, null],
      [0.5, { low: 0.6, high: 0.7 }],
      [0.5, { low: 0.1, high: 0.2 }],
      [0.5, { low: NaN, high: 1 }],
    ] as const
  ) {
    assert.throws(() => judgeClaim({ ...claim, mean, interval }), UserError);
  }
});
