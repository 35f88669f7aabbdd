/** The Hub as the environment has it, by the variables that Hugging Face's own tools read. */

import { UserError } from "../errors.ts";
import type { OpenSourceOptions } from "./document_source.ts";
import { HUB_ENDPOINT } from "./hub_source.ts";

/**
 * Where the Hub is and the token it is asked with: HF_ENDPOINT and HF_TOKEN.
 *
 * @param variable Gives a variable of the environment.
 * @throws UserError for an HF_ENDPOINT that is no address.
 */
export function hubAccess(
  variable: (name: string) => string | undefined,
): Pick<OpenSourceOptions, "endpoint" | "token"> {
  const endpoint = variable("HF_ENDPOINT")?.trim() || HUB_ENDPOINT;
  if (!/^https?:$/.test(URL.parse(endpoint)?.protocol ?? "")) {
    throw new UserError(`HF_ENDPOINT: expected an address (${HUB_ENDPOINT}), found ${endpoint}`);
  }
  const token = variable("HF_TOKEN")?.trim();
  return { endpoint, ...(token && { token }) };
}
