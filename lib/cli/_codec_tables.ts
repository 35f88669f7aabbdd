/** What compressing gives, as tables of at most 80 columns. */
import type { CompressionReport } from "../codec/mod.ts";
import { type ClassicalResults, fileBitsPerByte, type ModelFile } from "../experiments/mod.ts";
import { formatTextTable, type TextColumn, wrapWords } from "../figures/mod.ts";

/** That no line has more of. */
const COLUMNS = 80;

/** Of the names of compressed files. */
export const ENDING = ".kylc";

export function formatCount(value: number): string {
  return value.toLocaleString("en-US");
}

export function formatBytes(count: number): string {
  return `${formatCount(count)} ${count === 1 ? "byte" : "bytes"}`;
}

/** `2.041`; a dash of nothing, which has no bytes. */
export function formatBpb(fileBytes: number, originalBytes: number): string {
  return fileBitsPerByte(fileBytes, originalBytes)?.toFixed(3) ?? "–";
}

/** Of the original, in 1,000 bytes a second, two or three digits of it. */
export function formatSpeed(originalBytes: number, seconds: number): string {
  const speed = originalBytes / 1000 / seconds;
  if (originalBytes === 0) return "–";
  if (speed < 0.01) return "<0.01";
  return speed >= 100 ? `${Number(speed.toPrecision(3))}` : speed.toPrecision(2);
}

/** Without the sign of what is rounded to nothing. */
function fixed(value: number, digits: number): string {
  return value.toFixed(digits).replace(/^-([0.]+)$/, "$1");
}

/** Where the bits of a file went: parts without bits are left out. */
export function bitsTable(
  { bits, embedding, fileBytes, originalBytes }: CompressionReport,
): string {
  const parts: readonly (readonly [string, number])[] = [
    ["header", bits.header],
    ["scales of the embeddings", bits.scales],
    [`embeddings, ${embedding}`, bits.embeddings],
    ["flags of windows", bits.flags],
    ["first tokens", bits.firstTokens],
    ["tokens, by the model", bits.tokens],
    ["bytes, without the model", bits.raw],
    ["ending", bits.ending],
  ];
  const row = (part: string, count: number) => [
    part,
    formatCount(Number(fixed(count, 0))),
    fixed(100 * count / (8 * fileBytes), 2),
    originalBytes === 0 ? "–" : fixed(count / originalBytes, 4),
  ];
  return formatTextTable(
    [
      { title: "where the bits went" },
      { title: "bits", align: "right" },
      { title: "%", align: "right" },
      { title: "bits/byte", align: "right" },
    ],
    [
      ...parts.filter(([, count]) => count !== 0).map(([part, count]) => row(part, count)),
      row("the file", 8 * fileBytes),
    ],
  );
}

/** One compressor in the table of all. */
type Row = Readonly<{
  name: string;
  bytes: number;
  modelBytes: number;
  encodeSeconds: number;
  decodeSeconds: number | null;
}>;

/** The smallest file first. */
export function comparisonTable(
  { records }: Pick<ClassicalResults, "records">,
  models: readonly Pick<ModelFile, keyof Row>[],
  originalBytes: number,
): string {
  const rows: readonly Row[] = [
    ...records.map((record) => ({ ...record, modelBytes: 0 })),
    ...models,
  ];
  const narrow = (title: string): TextColumn => ({ title, align: "right", maxWidth: 6 });
  const withModel = models.length > 0;
  return formatTextTable(
    [
      { title: "compressor" },
      { title: "bytes", align: "right" },
      { title: "BPB", align: "right" },
      ...(withModel ? [narrow("with model")] : []),
      narrow("encode KB/s"),
      narrow("decode KB/s"),
    ],
    rows.toSorted((a, b) => a.bytes - b.bytes).map((row) => [
      row.name,
      formatCount(row.bytes),
      formatBpb(row.bytes, originalBytes),
      ...(withModel ? [formatBpb(row.bytes + row.modelBytes, originalBytes)] : []),
      formatSpeed(originalBytes, row.encodeSeconds),
      row.decodeSeconds === null ? "–" : formatSpeed(originalBytes, row.decodeSeconds),
    ]),
  );
}

/** The compressors that are not there, and what brings them; nothing if all are. */
export function absentLines({ absent }: Pick<ClassicalResults, "absent">): string[] {
  if (absent.length === 0) return [];
  const names = absent.map(({ name }) => name).join(", ");
  const packages = new Set(absent.map(({ debianPackage }) => debianPackage));
  const text = `not on this machine: ${names} (apt install ${[...packages].join(" ")})`;
  return wrapWords(text, COLUMNS);
}
