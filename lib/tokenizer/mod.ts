/** Byte-level BPE (paper §7): train, encode, decode, Hugging Face `tokenizer.json`. No tensors. */
export { formatTokenizer, parseTokenizer } from "./hugging_face.ts";
export { splitWords } from "./split_words.ts";
export type { BpeTokenizer, Tokenizer } from "./tokenizer.ts";
export { countWords, trainOnWords, trainTokenizer } from "./train_tokenizer.ts";
export type { TrainOptions, WordCounts } from "./train_tokenizer.ts";
