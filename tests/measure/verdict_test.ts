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

for (const [verdict, paperDirection, mean, bounds] of cases) {
  const found = bounds === null ? "no interval" : `[${bounds.join(", ")}]`;
  Deno.test(`judgeClaim() says "${verdict}" for ${paperDirection}, ${mean}, ${found}`, () => {
    const interval = bounds === null ? null : { low: bounds[0], high: bounds[1] };
    assert.equal(judgeClaim({ paperDirection, comparable: true, mean, interval }), verdict);
  });
}

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
