/**
 * The checks of a whole configuration, before its model is made, read or trained: those of
 * {@linkcode initModel}, and those of models that it could make and nobody can use.
 *
 * Legend: N tokens a sample.
 */

import { UserError } from "../errors.ts";
import { type AugmentedDecoderConfig, checkAugmentedDecoder } from "./augmented_config.ts";
import { type AutoencoderConfig, checkAutoencoder } from "./autoencoder.ts";
import { type BackboneConfig, checkBackbone } from "./backbone.ts";
import { type ModelConfig, sampleLength } from "./language_model.ts";

/**
 * @throws UserError when sizes do not fit each other, when the model would see the tokens that it
 *   is to predict or would have none to predict, and for a field that means nothing where it stands.
 */
export function checkModelSizes(config: ModelConfig): void {
  switch (config.kind) {
    case "causal":
      checkBackbone(config.backbone, "backbone.");
      checkNextTokens(config.backbone, "backbone.", sampleLength(config));
      return;
    case "autoencoder":
      checkAutoencoder(config);
      checkEncoding(config);
      return;
    case "augmented":
      checkAugmentedDecoder(config);
      checkNextTokens(config.decoder, "decoder.", sampleLength(config));
      if (config.memory === "zeros") checkZeros(config);
      return;
    case "second-order":
      checkBackbone(config.backbone, "backbone.");
      checkNextTokens(config.backbone, "backbone.", sampleLength(config), "come after a rated one");
      return;
  }
}

/** The stack predicts or rates tokens of N: the first is not scored, later ones must be hidden. */
function checkNextTokens(
  stack: BackboneConfig,
  path: string,
  length: number,
  what = "it predicts",
): void {
  if ("causal" in stack && stack.causal === false) {
    throw new UserError(
      `${path}causal: expected true, since the stack would see the tokens that ${what}, ` +
        `found false; only autoencoders and the encoder of an EEM may go without a mask`,
    );
  }
  if (length < 2) {
    const slots = stack.contextLength - length;
    throw new UserError(
      `${path}contextLength: expected at least ${slots + 2}, since the first token of a sample ` +
        `is not scored, found ${stack.contextLength}`,
    );
  }
}

function checkEncoding({ encoder, embedding, readPosition }: AutoencoderConfig): void {
  if (embedding === "inner" && encoder.architecture !== "transformer") {
    throw new UserError(
      `embedding: expected "outer", the only one that an encoder of architecture ` +
        `${encoder.architecture} has, found "inner"`,
    );
  }
  if (readPosition === -2 && encoder.contextLength === 1) {
    throw new UserError("readPosition: expected -1, the only position of one token, found -2");
  }
}

function checkZeros(
  { join = "token", embeddingSize }: AugmentedDecoderConfig & { memory: "zeros" },
): void {
  if (join === "embedding" && embeddingSize === undefined) {
    throw new UserError(
      "embeddingSize: expected the number of zeros to join to each token, found nothing",
    );
  }
  if (join !== "embedding" && embeddingSize !== undefined) {
    throw new UserError(
      `embeddingSize: expected none, since zeros with a ${join} join are as wide as the decoder, ` +
        `found ${embeddingSize}`,
    );
  }
}
