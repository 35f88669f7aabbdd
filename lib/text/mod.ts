/** Corpora, tokenized corpora, sample windows and batches (paper §2.8, §7). No tensors. */
export { batchesInOrder, BatchIterator, checkParts, gatherRows } from "./batches.ts";
export type { BatchPart, BatchPosition, WindowRows } from "./batches.ts";
export { loadCorpus } from "./corpus.ts";
export type { Corpus, CorpusOptions } from "./corpus.ts";
export type { TextDocument } from "./document.ts";
export { heldOutRows, HUB_ENDPOINT, openHubSource } from "./hub_source.ts";
export type { FetchItem, HubSource } from "./hub_source.ts";
export { hubAccess } from "./hub_access.ts";
export { listLocalFiles } from "./local_paths.ts";
export { measureSource } from "./source_stats.ts";
export type { SourceStats } from "./source_stats.ts";
export { formatBytes } from "./text_bytes.ts";
export type {
  DocumentSource,
  OpenSourceOptions,
  SourceDescriptor,
  SourcePart,
} from "./document_source.ts";
export { HUB_NAMES, openSource, parseSource } from "./open_source.ts";
export { latentLength, latentSequences, latentVocabSize } from "./latent_sequences.ts";
export type { LatentSource } from "./latent_sequences.ts";
export { checkSource, readSource, sourceProcess, sourceVocabSize } from "./sources/source.ts";
export type { Source } from "./sources/source.ts";
export { exactValues, SOURCE_PAD_ID, sourceSequences } from "./sources/sequences.ts";
export type { ExactValues, FullRows, SequenceOptions } from "./sources/sequences.ts";
export type { SourceProcess } from "./sources/process.ts";
export { splitParagraphs, splitSentences } from "./paragraphs.ts";
export { prepareCorpus } from "./tokenized_corpus.ts";
export { TEXT_UNITS } from "./tokenized_corpus.ts";
export type {
  PrepareOptions,
  TextUnit,
  TokenizedCorpus,
  TokenizedDocuments,
} from "./tokenized_corpus.ts";
export { isStored, makeWindows } from "./windows.ts";
export type { Layout, StoredWindows, WindowIds, WindowOptions, Windows } from "./windows.ts";
export { prepareSource, prepareSourceTokenizer, shardsFolderIn } from "./shards/prepare_source.ts";
export type { PreparedSource, PrepareSourceOptions } from "./shards/prepare_source.ts";
export { ShardSet } from "./shards/shard_set.ts";
export { trainSourceTokenizer } from "./shards/source_tokenizer.ts";
export type { SampleProgress } from "./shards/source_tokenizer.ts";
export { shardsKey, tokenizeSource } from "./shards/tokenize_source.ts";
export type {
  TokenizedSource,
  TokenizeOptions,
  TokenizeProgress,
} from "./shards/tokenize_source.ts";
export { storedWindows } from "./shards/stored_windows.ts";
export { requireSides, sideOf, splitOf } from "./shards/split.ts";
export type { Side } from "./shards/format.ts";
