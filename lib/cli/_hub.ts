/** The Hub as the environment has it: HF_ENDPOINT and HF_TOKEN, as Hugging Face's own tools read them. */
import { UserError } from "../errors.ts";
import { HUB_ENDPOINT, type OpenSourceOptions } from "../text/mod.ts";

/** Lines for a command's `--help`. */
export const HUB_NOTES: readonly string[] = [
  "HF_TOKEN is the Hub's access token, for datasets that ask for one; it is sent to no other server.",
  `HF_ENDPOINT is a mirror of the Hub (default ${HUB_ENDPOINT}).`,
];

/**
 * What opening a source takes.
 *
 * @throws UserError for an HF_ENDPOINT that is no address.
 */
export function hubOptions(
  cacheFolder: string,
): Pick<OpenSourceOptions, "cacheFolder" | "endpoint" | "token"> {
  const endpoint = Deno.env.get("HF_ENDPOINT")?.trim() || HUB_ENDPOINT;
  if (!/^https?:$/.test(URL.parse(endpoint)?.protocol ?? "")) {
    throw new UserError(`HF_ENDPOINT: expected an address (${HUB_ENDPOINT}), found ${endpoint}`);
  }
  const token = Deno.env.get("HF_TOKEN")?.trim();
  return { cacheFolder, endpoint, ...(token && { token }) };
}
