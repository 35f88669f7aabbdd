import assert from "node:assert/strict";
import { armStyles } from "../../lib/figures/mod.ts";

const arms = [
  "CLM",
  "CLM with the EEM's parameter count",
  "CLM with the EEM's compute",
  "EEM 2 numbers",
  "EEM 4 numbers",
  "EEM 8 numbers",
  "EEM 8 numbers, slot fed zeros",
  "EEM-T 8",
  "trigram",
  "gzip",
];

Deno.test("armStyles() gives an arm the same look in any order and company", () => {
  const all = armStyles(arms);
  assert.deepEqual(
    [...armStyles(arms.toReversed())].sort(([a], [b]) => a < b ? -1 : 1),
    [...all].sort(([a], [b]) => a < b ? -1 : 1),
  );
  const many = Array.from({ length: 20 }, (_, index) => `other ${index}`);
  for (const arm of many) {
    assert.deepEqual(armStyles(many).get(arm), armStyles(many.toReversed()).get(arm), arm);
  }
  for (const arm of arms.filter((arm) => /CLM|EEM/.test(arm))) {
    assert.deepEqual(armStyles([arm]).get(arm), all.get(arm), arm);
  }
});

Deno.test("armStyles() never gives two arms of a figure one look", () => {
  const many = [...arms, ...Array.from({ length: 20 }, (_, index) => `other ${index}`)];
  const looks = [...armStyles(many).values()].map(({ colour, dash }) => `${colour} ${dash}`);
  assert.equal(new Set(looks).size, many.length);
});

Deno.test("armStyles() dashes controls and only controls", () => {
  const styles = armStyles(arms);
  for (const arm of arms) {
    const isControl = /zeros|parameter|compute/.test(arm);
    assert.equal(styles.get(arm)!.isControl, isControl, arm);
    assert.equal(styles.get(arm)!.dash !== "solid", isControl, arm);
  }
});

Deno.test("armStyles() reads the embedding's size, not its bits", () => {
  const colour = (arm: string) => armStyles([arm]).get(arm)!.colour;
  assert.equal(colour("EEM 8 numbers"), colour("EEM 8 numbers, 4 bits"));
  assert.notEqual(colour("EEM 8 numbers"), colour("EEM 4 numbers"));
});
