/**
 * Starts the engine and prints its status as JSON. `doctor` runs this as a process of its own: a
 * library that crashes while it loads then ends this process, not the diagnosis.
 */
import { initEngine } from "../engine/mod.ts";

const status = await initEngine({ log: () => {} });
console.log(JSON.stringify(status));
