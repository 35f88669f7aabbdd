/** One text of a corpus: a file, a line of a JSON Lines file, a paragraph. */
export interface TextDocument {
  /** Where it comes from, unique in its corpus: `notes/a.txt`, `web.jsonl:12`, `a.txt#3`. */
  readonly id: string;
  readonly text: string;
}
