/** Number formats and what they do to a model. */

export { castToFloatFormat } from "./float_cast.ts";
export {
  decodeFloats,
  encodeFloats,
  FLOAT_FORMATS,
  type FloatFormat,
  type FloatFormatName,
  floatFormatOf,
  type Overflow,
} from "./float_formats.ts";
export {
  absoluteMaximum,
  castToIntegers,
  type IntegerCastOptions,
  largestCode,
  LLM_INT8_THRESHOLD,
  quantizeUniformly,
  type Scaling,
} from "./integers.ts";
export {
  castToNf4,
  decodeNf4,
  encodeNf4,
  NF4_BLOCK_SIZE,
  NF4_LEVELS,
  type Nf4Blocks,
} from "./nf4.ts";
export {
  checkQuantization,
  fakeQuantize,
  type FakeQuantizeOptions,
  formatQuantization,
  parseQuantization,
  type Quantization,
} from "./quantization.ts";
export {
  readEmbeddings,
  sharedBits,
  sharedScalesOf,
  storedBits,
  storeEmbeddings,
} from "./storage.ts";
export * from "./training.ts";
