"""Golden checkpoints under the parameter names of the paper's public code, with their losses.

Run (any machine, CPU, a few seconds):

    pip install torch==2.15.0 transformers==5.23.0 safetensors==0.8.0 numpy
    python tests/reference/reference_names.py          # writes tests/golden/reference_names/

The modules below are written from data/paper.md (section numbers refer to it) and from the list of
names in lib/train/reference_names.ts. Transformers are Hugging Face's own classes.

For each model M of `MODELS`:

`M.safetensors`   the state_dict of a PyTorch model, all weights drawn, and stored as float32 or as
                  `dtype` says. Losses are computed in float64 from the weights as they are stored
                  (Hugging Face takes norms and rotary angles in float32 all the same).
`M.json`          config          what `deno task eval --model` reads
                  padId           null: no pads
                  ids             [B][N]
                  lossNats        mean over the scored tokens
                  scoredTokens
                  tokenLossNats   [B][S], null where the target is a pad
"""

import json
import math
import pathlib
import random

import torch
import torch.nn.functional as F
from safetensors.torch import save_file
from torch import nn
from transformers import LlamaConfig, LlamaForCausalLM, LlamaModel

VOCAB = 11
LENGTH = 6
ROWS = 3
PAD = 1


class MaskedConv(nn.Conv1d):
    """§2.1: tokens are channels; what a later token would give an earlier one is masked."""

    def forward(self, x):
        length = self.weight.shape[0]
        mask = torch.ones(length, length, dtype=self.weight.dtype).tril()
        return F.conv1d(x, self.weight * mask[:, :, None], self.bias, padding="same")


class Heads(nn.Module):
    """§2.2"""

    def __init__(self, dim, length, heads, kernel):
        super().__init__()
        self.proj_head = nn.ModuleList(nn.Linear(dim, dim // heads) for _ in range(heads))
        self.convs = nn.ModuleList(MaskedConv(length, length, kernel) for _ in range(heads))
        self.out_proj = nn.Linear(dim, dim)

    def forward(self, x):
        mixed = [conv(proj(x)) for proj, conv in zip(self.proj_head, self.convs)]
        return self.out_proj(torch.cat(mixed, dim=-1))


class Block(nn.Module):
    """§2.1"""

    def __init__(self, dim, length, heads=0, kernel=1):
        super().__init__()
        self.patch_layernorm = nn.LayerNorm(dim)
        self.seq_layernorm = nn.LayerNorm(dim)
        self.patch_ff = nn.Sequential(nn.Linear(dim, 4 * dim), nn.GELU(), nn.Linear(4 * dim, dim))
        if heads > 0:
            self.conv = Heads(dim, length, heads, kernel)
        else:
            self.conv = MaskedConv(length, length, kernel)

    def forward(self, x):
        x = x + self.conv(self.seq_layernorm(x))
        return x + self.patch_ff(self.patch_layernorm(x))


def blocks(stack):
    width, length = stack["width"], stack["contextLength"]
    heads, kernel = stack.get("headCount", 0), stack.get("kernelSize", 1)
    return nn.ModuleList(Block(width, length, heads, kernel) for _ in range(stack["layerCount"]))


def through(modules, x):
    for module in modules:
        x = module(x)
    return x


def llama_config(stack):
    return LlamaConfig(
        hidden_size=stack["width"],
        intermediate_size=4 * stack["width"],
        num_hidden_layers=stack["layerCount"],
        num_attention_heads=stack["headCount"],
        vocab_size=VOCAB,
    )


def head(stack, bias=False):
    return nn.Linear(stack["width"], VOCAB, bias=bias)


class MixerClm(nn.Module):
    """§2.4"""

    def __init__(self, backbone, headBias=False):
        super().__init__()
        self.wte = nn.Embedding(VOCAB, backbone["width"])
        self.mixerblocks = blocks(backbone)
        self.lm_head = head(backbone, headBias)

    def logits(self, ids, mask):
        return self.lm_head(through(self.mixerblocks, self.wte(ids)))[:, :-1]


class LlamaClm(LlamaForCausalLM):
    """§2.4; with the head's bias of §5.1"""

    def __init__(self, backbone, headBias=False):
        super().__init__(llama_config(backbone))
        self.lm_head = head(backbone, headBias)

    def logits(self, ids, mask):
        return self(ids, attention_mask=mask).logits[:, :-1]


class Eem(nn.Module):
    """§2.6, with a mixer or a transformer on either side."""

    def __init__(self, encoder, decoder, join="token", embeddingSize=None):
        super().__init__()
        self.join = join
        width, token_width = encoder["width"], decoder["width"]
        if encoder["architecture"] == "mixer":
            self.wte = nn.Embedding(VOCAB, width)
            self.encoderblocks = blocks(encoder)
        else:
            self.encoder = LlamaModel(llama_config(encoder))
        if embeddingSize is not None:
            # The reference makes `up` whatever the join.
            self.down, self.up = nn.Linear(width, embeddingSize), nn.Linear(embeddingSize, width)
        if join == "embedding":
            token_width -= embeddingSize
        elif join == "linear" or width != token_width:
            self.decoder_proj = nn.Linear(width, token_width)
        self.decoder_wte = nn.Embedding(VOCAB, token_width)
        if decoder["architecture"] == "mixer":
            self.decoderblocks = blocks(decoder)
        else:
            self.decoder = LlamaModel(llama_config(decoder))
        self.lm_head = head(decoder)

    def logits(self, ids, mask):
        if hasattr(self, "wte"):
            x = through(self.encoderblocks, self.wte(ids))
        else:
            x = self.encoder(ids, attention_mask=mask).last_hidden_state
        memory = x[:, -1:, :]
        if hasattr(self, "down"):
            memory = self.down(memory)
            memory = memory if self.join == "embedding" else self.up(memory)
        if hasattr(self, "decoder_proj"):
            memory = self.decoder_proj(memory)
        tokens = self.decoder_wte(ids)
        if self.join == "token":
            x = torch.cat((memory, tokens), dim=1)
            mask = None if mask is None else torch.cat((torch.ones_like(mask[:, :1]), mask), dim=1)
        elif self.join == "embedding":
            x = torch.cat((memory.expand(-1, ids.shape[1], -1), tokens), dim=2)
        else:
            x = memory + tokens
        if hasattr(self, "decoderblocks"):
            x = through(self.decoderblocks, x)
        else:
            x = self.decoder(inputs_embeds=x, attention_mask=mask).last_hidden_state
        # Slot 0 of the token join is the memory; the last slot predicts nothing.
        return self.lm_head(x[:, 1:-1] if self.join == "token" else x[:, :-1])


class Modular(nn.Module):
    """§2.5 (a): the layers of a Llama, without its token embedding and its final norm."""

    def __init__(self, stack):
        super().__init__()
        self.model = LlamaModel(llama_config(stack))

    def forward(self, x):
        positions = torch.arange(x.shape[1])[None]
        angles = self.model.rotary_emb(x, positions)
        for layer in self.model.layers:
            x = layer(x, position_ids=positions, position_embeddings=angles)
        return x


class Autoencoder(nn.Module):
    """§2.5, unrolled. Its transformers are modular."""

    def __init__(self, encoder, decoder, expansion, embeddingSize=None):
        super().__init__()
        assert expansion == "unroll"
        width = decoder["width"]
        self.wte = nn.Embedding(VOCAB, encoder["width"])
        if encoder["architecture"] == "mixer":
            self.encoderblocks, self.decoderblocks = blocks(encoder), blocks(decoder)
        else:
            self.encoder, self.decoder = Modular(encoder), Modular(decoder)
        if encoder["width"] != width:
            self.bridge_proj = nn.Linear(encoder["width"], width)
        if embeddingSize is not None:
            self.down, self.up = nn.Linear(width, embeddingSize), nn.Linear(embeddingSize, width)
        self.projection = nn.Linear(width // 2, width)
        self.lm_head = head(decoder)

    def stack(self, side, x):
        if hasattr(self, f"{side}blocks"):
            return through(getattr(self, f"{side}blocks"), x)
        return getattr(self, side)(x)

    def logits(self, ids, mask):
        state = self.stack("encoder", self.wte(ids))[:, -1, :]
        if hasattr(self, "bridge_proj"):
            state = self.bridge_proj(state)
        if hasattr(self, "down"):
            state = self.up(self.down(state))
        width = state.shape[1]
        around = torch.cat((state, state), dim=1)
        starts = [position % width for position in range(ids.shape[1])]
        windows = torch.stack([around[:, s : s + width // 2] for s in starts], dim=1)
        return self.lm_head(self.stack("decoder", self.projection(windows)))


def mixer(length, width, **options):
    sizes = dict(vocabSize=VOCAB, contextLength=length, width=width, layerCount=2)
    return dict(architecture="mixer", **sizes, **options)


def llama(length, width, heads=2, **options):
    sizes = dict(vocabSize=VOCAB, contextLength=length, width=width, layerCount=2)
    return dict(architecture="transformer", **sizes, headCount=heads, **options)


def clm(backbone, **options):
    return dict(kind="causal", backbone=backbone, **options)


def eem(encoder, decoder, **options):
    return dict(kind="augmented", memory="embedding", encoder=encoder, decoder=decoder, **options)


def autoencoder(encoder, decoder, **options):
    return dict(kind="autoencoder", encoder=encoder, decoder=decoder, expansion="unroll", **options)


# Each with its configuration, whether rows are left padded, and how it is stored. The weights are
# drawn with the place in this list as the seed: append, do not insert.
MODELS = {
    "mixer_clm_kernel_3": (clm(mixer(LENGTH, 6, kernelSize=3)), False, torch.float32),
    "mixer_clm_heads": (clm(mixer(LENGTH, 8, headCount=2, kernelSize=2)), False, torch.float32),
    "llama_clm": (clm(llama(LENGTH, 8)), True, torch.float16),
    "llama_eem": (eem(llama(LENGTH, 8), llama(LENGTH + 1, 12), embeddingSize=4), True, torch.float32),
    "mixer_eem": (
        eem(mixer(LENGTH, 6, kernelSize=2), mixer(LENGTH + 1, 8), embeddingSize=3),
        False,
        torch.bfloat16,
    ),
    "mixer_eem_embedding_join": (
        eem(mixer(LENGTH, 6), mixer(LENGTH, 8), join="embedding", embeddingSize=3),
        False,
        torch.float32,
    ),
    "mixer_llama_eem_linear_join": (
        eem(mixer(LENGTH, 6), llama(LENGTH, 8), join="linear", embeddingSize=3),
        True,
        torch.float32,
    ),
    # More positions than channels: the windows come again.
    "mixer_ae": (
        autoencoder(mixer(LENGTH, 4), mixer(LENGTH, 4), embeddingSize=3),
        False,
        torch.float64,
    ),
    "llama_ae": (
        autoencoder(
            llama(LENGTH, 8, finalNorm=False), llama(LENGTH, 12, finalNorm=False), embeddingSize=5
        ),
        False,
        torch.float32,
    ),
    "llama_clm_head_bias": (clm(llama(LENGTH, 8), headBias=True), True, torch.float32),
}


def build(config):
    options = {key: value for key, value in config.items() if key not in ("kind", "memory")}
    if config["kind"] == "causal":
        is_mixer = config["backbone"]["architecture"] == "mixer"
        return (MixerClm if is_mixer else LlamaClm)(**options)
    return (Autoencoder if config["kind"] == "autoencoder" else Eem)(**options)


def fill(model, dtype, generator):
    """Weights at scales where every part matters, exact in the type that stores them."""
    with torch.no_grad():
        for name, parameter in model.named_parameters():
            draw = torch.randn(parameter.shape, generator=generator, dtype=torch.float64)
            if name.endswith("bias"):
                draw = 0.3 * draw
            elif "norm" in name:
                draw = 1 + 0.2 * draw
            elif not any(table in name for table in ("wte", "embed_tokens")):
                draw = draw / math.sqrt(parameter[0].numel())
            parameter.copy_(draw.to(dtype))


def draw_ids(is_padded, seed):
    draws = random.Random(seed)
    ids = [[draws.randrange(PAD + 1, VOCAB) for _ in range(LENGTH)] for _ in range(ROWS)]
    if is_padded:
        for row, pads in ((1, 2), (2, 4)):
            ids[row][:pads] = [PAD] * pads
    return torch.tensor(ids)


def main():
    folder = pathlib.Path(__file__).parents[1] / "golden" / "reference_names"
    folder.mkdir(parents=True, exist_ok=True)
    for seed, (name, (config, is_padded, dtype)) in enumerate(MODELS.items()):
        model = build(config).double().eval()
        fill(model, dtype, torch.Generator().manual_seed(seed))
        ids = draw_ids(is_padded, seed)
        with torch.no_grad():
            logits = model.logits(ids, (ids != PAD).long() if is_padded else None)
        targets = ids[:, LENGTH - logits.shape[1] :]
        losses = F.cross_entropy(logits.transpose(1, 2), targets, reduction="none")
        scored = targets != PAD if is_padded else torch.ones_like(targets, dtype=torch.bool)
        state = {key: value.to(dtype).contiguous() for key, value in model.state_dict().items()}
        if name == "llama_eem":
            # Older versions of the package stored these constants.
            frequencies = model.encoder.rotary_emb.inv_freq.to(dtype).clone()
            state["encoder.layers.0.self_attn.rotary_emb.inv_freq"] = frequencies
        save_file(state, folder / f"{name}.safetensors", metadata={"format": "pt"})
        golden = dict(
            config=config,
            padId=PAD if is_padded else None,
            ids=ids.tolist(),
            lossNats=losses[scored].mean().item(),
            scoredTokens=int(scored.sum()),
            tokenLossNats=[
                [loss if counts else None for loss, counts in zip(*rows)]
                for rows in zip(losses.tolist(), scored.tolist())
            ],
        )
        text = json.dumps(golden, indent=2)
        (folder / f"{name}.json").write_text(f"{text}\n")
        print(f"{name}: {golden['lossNats']:.6f} nats over {golden['scoredTokens']} tokens")


main()
