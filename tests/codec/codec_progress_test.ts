import assert from "node:assert/strict";
import {
  type CodecModel,
  type CodecOptions,
  type CodecProgress,
  compress,
  decompress,
} from "../../lib/codec/mod.ts";
import { memory } from "../../lib/engine/mod.ts";
import { onEveryBackend } from "../_backends.ts";
import { refusalOf } from "../_refusal.ts";
import { withFields } from "./_file.ts";
import {
  clm,
  codecModel,
  eem,
  mixerStack,
  randomBytes,
  TEXT,
  TOKENIZER,
  transformerStack,
  utf8,
} from "./_tiny.ts";

const CLM = clm(mixerStack);
const EEM = eem(mixerStack, transformerStack);
const BYTES = utf8(TEXT.slice(0, 400));
const LANES = { lanes: 8 };

type Work = (options: CodecOptions) => Promise<unknown>;

async function bothWays(model: CodecModel): Promise<Readonly<Record<string, Work>>> {
  const { file } = await compress(model, BYTES, LANES);
  return {
    compress: (options) => compress(model, BYTES, { ...LANES, ...options }),
    decompress: (options) => decompress(model, file, options),
  };
}

function assertProgress(steps: readonly CodecProgress[], total: number, what: string): void {
  assert.ok(steps.every((step) => step.total === total), what);
  let last = 0;
  for (const { done } of steps) {
    assert.ok(done > last, `${what}: ${done} after ${last}`);
    last = done;
  }
  assert.equal(last, total, what);
}

onEveryBackend("compress() and decompress() report progress up to the last token", async () => {
  const total = TOKENIZER.encodeBytes(BYTES).length;
  for (const config of [CLM, EEM]) {
    for (const [way, work] of Object.entries(await bothWays(codecModel(config)))) {
      const steps: CodecProgress[] = [];
      let running = 0;
      await work({
        onProgress: async (step) => {
          steps.push(step);
          assert.equal(++running, 1, `${way}: whoever prints it is waited for`);
          await new Promise((done) => setTimeout(done));
          running--;
        },
      });
      assertProgress(steps, total, way);
      assert.ok(steps.length >= 3, way);
    }
    const steps: CodecProgress[] = [];
    const noise = randomBytes(100);
    const onProgress = (step: CodecProgress) => void steps.push(step);
    await compress(codecModel(config), noise, { onProgress });
    assertProgress(steps, TOKENIZER.encodeBytes(noise).length, "stored");
  }
}, { only: ["cpu"] });

onEveryBackend(
  "compress() and decompress() end in the middle with their signal's reason",
  async () => {
    const stop = new Error("stop");
    for (const config of [CLM, EEM]) {
      for (const [way, work] of Object.entries(await bothWays(codecModel(config)))) {
        const steps: CodecProgress[] = [];
        const byProgress = new AbortController();
        const onProgress = (step: CodecProgress) => {
          if (steps.push(step) === 2) byProgress.abort(stop);
        };
        await assert.rejects(work({ signal: byProgress.signal, onProgress }), stop, way);
        assert.equal(steps.length, 2, `${way}: nothing more is read`);

        // A timer, like Ctrl-C, is only heard if the work takes turns.
        const byTimer = new AbortController();
        let done = 0;
        const timer = setTimeout(() => byTimer.abort(stop), 5);
        const noting = (step: CodecProgress) => void (done = step.done);
        await assert.rejects(work({ signal: byTimer.signal, onProgress: noting }), stop, way);
        clearTimeout(timer);
        assert.ok(done < TOKENIZER.encodeBytes(BYTES).length, way);

        await assert.rejects(work({ signal: AbortSignal.abort(stop) }), stop, way);
      }
    }
  },
  { only: ["wasm", "cpu"] },
);

onEveryBackend(
  "compress() and decompress() leave no tensors behind, whatever happens",
  async () => {
    const models = { CLM: codecModel(CLM), EEM: codecModel(EEM) };
    for (const [name, model] of Object.entries(models)) {
      const { file } = await compress(model, BYTES, LANES);
      const before = memory().numTensors;
      const flat = (what: string) => assert.equal(memory().numTensors, before, `${name}, ${what}`);
      await compress(model, BYTES, LANES);
      flat("compressed");
      await decompress(model, file);
      flat("decompressed");
      await refusalOf(decompress(model, withFields(file, { checksum: 1n, overlap: 2 })));
      flat("other logits");
      const stop = new Error("stop");
      const controller = new AbortController();
      const onProgress = () => controller.abort(stop);
      const { signal } = controller;
      await assert.rejects(compress(model, BYTES, { ...LANES, signal, onProgress }), stop);
      flat("ended while it compressed");
      await assert.rejects(decompress(model, file, { signal }), stop);
      flat("ended before it decompressed");
    }
  },
  { only: ["wasm", "cpu"] },
);
