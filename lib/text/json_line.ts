/** One line of a JSON Lines file. */

import { UserError } from "../errors.ts";
import { decodeUtf8, oneLine } from "./text_bytes.ts";

export function notUtf8(where: string): UserError {
  return new UserError(
    `${where}: expected UTF-8, found other bytes: convert the file (iconv -t utf-8)`,
  );
}

/**
 * The text in a field of a line; undefined for a blank line.
 *
 * @param where What messages call it: file and line.
 * @throws UserError for what is no JSON object with text in that field.
 */
export function parseLine(
  bytes: Uint8Array,
  where: string,
  textField: string,
): string | undefined {
  const content = decodeUtf8(bytes);
  if (content === undefined) throw notUtf8(where);
  if (content.trim() === "") return undefined;
  let record: unknown;
  try {
    record = JSON.parse(content);
  } catch (error) {
    throw new UserError(
      `${where}: expected one JSON object a line, found broken JSON (${oneLine(error)})`,
    );
  }
  if (typeof record !== "object" || record === null || Array.isArray(record)) {
    throw new UserError(
      `${where}: expected a JSON object, found ${content.trim().slice(0, 40)}`,
    );
  }
  if (!Object.hasOwn(record, textField)) {
    throw new UserError(
      `${where}: expected a field "${textField}", found ` +
        `${Object.keys(record).map((key) => `"${key}"`).join(", ") || "none"}: ` +
        `name the field that holds the text`,
    );
  }
  const text = (record as Record<string, unknown>)[textField];
  if (typeof text !== "string") {
    throw new UserError(
      `${where}: expected text in field "${textField}", found ` +
        JSON.stringify(text).slice(0, 40),
    );
  }
  if (text.trim() === "") {
    throw new UserError(
      `${where}: expected text in field "${textField}", found none: remove the line`,
    );
  }
  return text;
}
