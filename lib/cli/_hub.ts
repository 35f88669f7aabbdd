/** The Hub as the environment has it. */
import { HUB_ENDPOINT, hubAccess, type OpenSourceOptions } from "../text/mod.ts";

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
  return { cacheFolder, ...hubAccess((name) => Deno.env.get(name)) };
}
