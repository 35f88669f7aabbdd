/** Number formats and what they do to a model. */

export { absoluteMaximum, largestCode, quantizeUniformly } from "./uniform.ts";
