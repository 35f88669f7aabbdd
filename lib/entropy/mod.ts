/** Estimates of how uncertain the next token is. */

export { type TokenSurprisal, tokenSurprisals } from "./surprisal.ts";
