/** A model as a compressor: text to a file that decodes, and what every bit of it is for. */

export {
  type CodecModel,
  type CodecOptions,
  compress,
  type CompressionReport,
  decompress,
} from "./codec.ts";
export { FILE_VERSION, type FileHeader, HEADER_BYTES, readHeader } from "./container.ts";
export { DEFAULT_EMBEDDING, type FileOptions, type FilePlan, planFile } from "./file_plan.ts";
export { LARGEST_VOCABULARY } from "./frequencies.ts";
export { layoutRounds, type LayoutSizes, type Window } from "./layout.ts";
export type { CodecProgress } from "./stream.ts";
