/**
 * Measures how fast notebooks' models train here, as JSON: `_plan_probe.ts PRESET NOTEBOOK…`.
 * `reproduce --dry-run` runs this as a process of its own, which may load the engine's library.
 */
import { initEngine } from "../engine/mod.ts";
import { measureSpeeds } from "../experiments/notebook_plan.ts";
import { checkPreset } from "../experiments/presets.ts";

const [preset = "", ...notebooks] = Deno.args;
const { backend, device } = await initEngine({ log: () => {} });
const speeds = await measureSpeeds(notebooks, checkPreset(preset));
console.log(JSON.stringify({ backend, device, speeds }));
