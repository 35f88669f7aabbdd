"""Golden values for the models and the optimizer, from an independent PyTorch implementation.

Run (any machine, CPU, about ten seconds):

    pip install torch==2.15.0 safetensors==0.8.0 numpy
    python tests/reference/models_golden.py                      # writes tests/golden/models/
    pip install transformers==5.23.0
    python tests/reference/models_golden.py --compare-with-transformers

The second form writes nothing: it checks the Llama block below against Hugging Face's LlamaModel
and prints the largest differences.

Section numbers refer to the specification the README's citations use.

What is written
---------------
For each model M of `MODELS`:

`M.safetensors`   float32 and int32 tensors. Everything is COMPUTED in float64 from weights that are
                  exactly representable in float32, and ROUNDED to float32 when stored.
    weights/<name>            the starting weights
    gradients/<name>          gradient of `loss` for every parameter (before clipping)
    afterSteps/<name>         the weights after `training.steps` AdamW steps on batches[0]. Compare
                              where the gradient is exactly 0 (must not move) or above
                              NEGLIGIBLE_GRADIENT: between, it is 0 in exact arithmetic (a bias that
                              every later norm removes) and AdamW turns its rounding noise into steps
    batches       [5,B,N] i32 token ids; batches[0] is the fixed batch, left padded for transformers
                              and EEMs, right padded for the mixer CLM (§2.8)
    logits        [B,S,V]     on batches[0]; S = N, or N+1 for an EEM (slot 0 is the memory slot)
    tokenLosses   [B,N-1]     nats for targets 1..N-1 (target t in column t-1), 0 where not scored
    scored        [B,N-1] i32 1 where the target is not the pad id
    loss          [1]         sum(tokenLosses) / sum(scored): one mean over the whole batch, as
                              torch's cross_entropy, not a mean of per-sample means
    embedding     [B,n_p]     EEM only: z = down(e), what has to be paid for (§2.6)
    zeroMemoryTokenLosses, zeroMemoryLoss   EEM only: the same with the memory slot's vector m = 0
                              (the slot still exists and can be attended to)
    stepLosses    [steps]     the loss before each of the AdamW steps on batches[0]
    stepGradientNorms [steps] the global L2 norm of the gradients before clipping
    curveLosses   [50]        from the starting weights, step s trains on batches[s % 5]

`M.json`          configuration, parameter names with their stored shapes, optimizer and schedule,
                  versions, and `float32Deviation`: how far the same computation in torch's float32
                  lands from the stored values (a floor for a test's tolerance).

`parameter_counts.json`   parameter counts at the paper's sizes, from models on torch's meta device.

Conventions of the stored tensors
---------------------------------
- Linear weights are stored [in, out] (the library computes x @ W), the transpose of torch's.
- Token-mixing weights are stored [out token, in token]: y[f] = bias[f] + sum_t W[f,t] x[t]. Their
  upper triangle is NOT zero: the mask is functional (§2.1), so those entries must have no effect, a
  zero gradient, and must not move in training.
- Embedding tables are [V, d]. Attention heads are contiguous blocks of the query/key/value columns.
- Optimizer: torch.optim.AdamW(lr, betas=(0.9, 0.999), eps=1e-8, weight_decay=0) after
  torch.nn.utils.clip_grad_norm_(parameters, 1.0), which scales by min(1, 1 / (norm + 1e-6)).
- Schedule, as Hugging Face's get_linear_schedule_with_warmup; for step s = 0, 1, ...
      factor(s) = s / max(1, warmup)                                  if s < warmup
                  max(0, (total - s) / max(1, total - warmup))        otherwise
  so the first step has learning rate 0 when warmup > 0.
- A query that no key is visible to (a left pad in a CLM) gets a zero attention output: what torch's
  scaled_dot_product_attention returns, hence what Hugging Face's Llama does. It matters: the last
  pad of a left-padded row predicts the first real token, and that target is scored.
"""

import argparse
import json
import math
import pathlib

import torch
import torch.nn.functional as F
from torch import nn

PAD = 1
BATCHES = 5
BATCH_SIZE = 3
STEPS = 5
STEPS_WARMUP = 2
CURVE_STEPS = 50
CURVE_WARMUP = 5
LEARNING_RATE = 1e-3
CLIP_NORM = 1.0
NEGLIGIBLE_GRADIENT = 1e-6

# Attribute names are the library's parameter names, so that a state_dict needs no renaming.


class TokenMix(nn.Module):
    """§2.1: a convolution with tokens as channels and the hidden axis as space, kernel 1."""

    def __init__(self, context):
        super().__init__()
        self.weight = nn.Parameter(torch.empty(context, context))
        self.bias = nn.Parameter(torch.empty(context))

    def forward(self, x):
        return F.conv1d(x, torch.tril(self.weight).unsqueeze(-1), self.bias)


class GeluFeedForward(nn.Module):
    def __init__(self, width):
        super().__init__()
        self.expand = nn.Linear(width, 4 * width)
        self.contract = nn.Linear(4 * width, width)

    def forward(self, x):
        return self.contract(F.gelu(self.expand(x)))


class MixerBlock(nn.Module):
    def __init__(self, width, context):
        super().__init__()
        self.norm1 = nn.LayerNorm(width, eps=1e-5)
        self.mix = TokenMix(context)
        self.norm2 = nn.LayerNorm(width, eps=1e-5)
        self.feedForward = GeluFeedForward(width)

    def forward(self, x):
        x = x + self.mix(self.norm1(x))
        return x + self.feedForward(self.norm2(x))


class MixerStack(nn.Module):
    """§2.1: embedding and blocks, no final norm. Pads are ordinary tokens."""

    def __init__(self, vocab, width, layers, context):
        super().__init__()
        self.embedding = nn.Embedding(vocab, width)
        self.blocks = nn.ModuleList(MixerBlock(width, context) for _ in range(layers))

    def hidden(self, x, visible):
        for block in self.blocks:
            x = block(x)
        return x


class RmsNorm(nn.Module):
    def __init__(self, width):
        super().__init__()
        self.weight = nn.Parameter(torch.ones(width))

    def forward(self, x):
        return self.weight * x * torch.rsqrt(x.pow(2).mean(-1, keepdim=True) + 1e-6)


def rotate(x):
    """RoPE, theta 10000, rotate-half, positions 0..S-1. x: [B, heads, S, headWidth]."""
    length, width = x.shape[-2:]
    pair = torch.arange(width // 2, dtype=x.dtype, device=x.device)
    position = torch.arange(length, dtype=x.dtype, device=x.device)
    angle = position[:, None] * 10000.0 ** (-2 * pair / width)
    cos, sin = angle.cos(), angle.sin()
    first, second = x.chunk(2, dim=-1)
    return torch.cat((first * cos - second * sin, second * cos + first * sin), dim=-1)


class Attention(nn.Module):
    def __init__(self, width, heads):
        super().__init__()
        self.heads = heads
        self.query = nn.Linear(width, width, bias=False)
        self.key = nn.Linear(width, width, bias=False)
        self.value = nn.Linear(width, width, bias=False)
        self.output = nn.Linear(width, width, bias=False)

    def forward(self, x, visible):
        batch, length, width = x.shape

        def split(y):
            return y.view(batch, length, self.heads, width // self.heads).transpose(1, 2)

        query = rotate(split(self.query(x)))
        key = rotate(split(self.key(x)))
        scores = query @ key.transpose(-1, -2) / math.sqrt(width // self.heads)
        causal = torch.ones(length, length, dtype=torch.bool, device=x.device).tril()
        allowed = causal & visible[:, None, None, :]
        scores = scores.masked_fill(~allowed, -math.inf)
        # A row without a visible key would be 0/0: give it finite scores, then weight 0.
        blind = ~allowed.any(-1, keepdim=True)
        weights = scores.masked_fill(blind, 0.0).softmax(-1).masked_fill(blind, 0.0)
        mixed = (weights @ split(self.value(x))).transpose(1, 2).reshape(batch, length, width)
        return self.output(mixed)


class SwigluFeedForward(nn.Module):
    def __init__(self, width):
        super().__init__()
        self.gate = nn.Linear(width, 4 * width, bias=False)
        self.up = nn.Linear(width, 4 * width, bias=False)
        self.down = nn.Linear(4 * width, width, bias=False)

    def forward(self, x):
        return self.down(F.silu(self.gate(x)) * self.up(x))


class LlamaBlock(nn.Module):
    def __init__(self, width, heads):
        super().__init__()
        self.norm1 = RmsNorm(width)
        self.attention = Attention(width, heads)
        self.norm2 = RmsNorm(width)
        self.feedForward = SwigluFeedForward(width)

    def forward(self, x, visible):
        x = x + self.attention(self.norm1(x), visible)
        return x + self.feedForward(self.norm2(x))


class LlamaStack(nn.Module):
    """§2.3: embedding, blocks and the final norm."""

    def __init__(self, vocab, width, layers, heads):
        super().__init__()
        self.embedding = nn.Embedding(vocab, width)
        self.blocks = nn.ModuleList(LlamaBlock(width, heads) for _ in range(layers))
        self.finalNorm = RmsNorm(width)

    def hidden(self, x, visible):
        for block in self.blocks:
            x = block(x, visible)
        return self.finalNorm(x)


def with_head(stack, vocab, width):
    stack.head = nn.Linear(width, vocab, bias=False)
    return stack


def make_stack(config, width, context, head):
    vocab, layers = config["vocabSize"], config["layerCount"]
    if config["family"] == "mixer":
        stack = MixerStack(vocab, width, layers, context)
    else:
        stack = LlamaStack(vocab, width, layers, config["headCount"])
    return with_head(stack, vocab, width) if head else stack


class CausalModel(nn.Module):
    """§2.4. Its parameters are the stack's own, so it is a wrapper without a name of its own."""

    def __init__(self, config):
        super().__init__()
        self.stack = make_stack(config, config["modelDim"], config["contextLength"], head=True)

    def named(self):
        return dict(self.stack.named_parameters())

    def logits(self, ids):
        x = self.stack.embedding(ids)
        return self.stack.head(self.stack.hidden(x, ids != PAD))

    def target_logits(self, logits):
        return logits[:, :-1]


class AugmentedDecoder(nn.Module):
    """§2.6, token concatenation: the decoder reads [m ; embedded tokens], length N+1."""

    def __init__(self, config):
        super().__init__()
        encoder_width, width = config["encoderDim"], config["modelDim"]
        context, channel = config["contextLength"], config["embeddingDim"]
        self.encoder = make_stack(config, encoder_width, context, head=False)
        self.down = nn.Linear(encoder_width, channel)
        self.up = nn.Linear(channel, encoder_width)
        if encoder_width != width:
            self.projection = nn.Linear(encoder_width, width)
        self.decoder = make_stack(config, width, context + 1, head=True)

    def named(self):
        return dict(self.named_parameters())

    def embedding(self, ids):
        hidden = self.encoder.hidden(self.encoder.embedding(ids), ids != PAD)
        return self.down(hidden[:, -1, :])

    def logits(self, ids, zero_memory=False):
        memory = self.up(self.embedding(ids))
        if hasattr(self, "projection"):
            memory = self.projection(memory)
        if zero_memory:
            memory = torch.zeros_like(memory)
        x = torch.cat((memory[:, None, :], self.decoder.embedding(ids)), dim=1)
        slot_visible = torch.ones_like(ids[:, :1], dtype=torch.bool)
        visible = torch.cat((slot_visible, ids != PAD), dim=1)
        return self.decoder.head(self.decoder.hidden(x, visible))

    def target_logits(self, logits):
        # Slot 0 is the memory; slot j >= 1 holds token j-1 and predicts token j. The memory slot
        # could predict token 0 and the last slot token N: both are dropped, N-1 targets remain.
        return logits[:, 1:-1]


MODELS = {
    "mixer_clm": dict(family="mixer", augmented=False, modelDim=8),
    "llama_clm": dict(family="llama", augmented=False, modelDim=8, headCount=2),
    "mixer_eem": dict(family="mixer", augmented=True, encoderDim=8, embeddingDim=4, modelDim=12),
    "mixer_eem_equal_widths": dict(
        family="mixer", augmented=True, encoderDim=8, embeddingDim=4, modelDim=8
    ),
    "llama_eem": dict(
        family="llama", augmented=True, encoderDim=8, embeddingDim=4, modelDim=12, headCount=2
    ),
    "llama_eem_equal_widths": dict(
        family="llama", augmented=True, encoderDim=8, embeddingDim=4, modelDim=8, headCount=2
    ),
}
TINY = dict(vocabSize=17, contextLength=6, layerCount=2, padId=PAD)

PAPER = dict(vocabSize=8000, contextLength=1024, layerCount=16)
PAPER_MODELS = {
    "llama_clm_d512": dict(family="llama", augmented=False, modelDim=512, headCount=4),
    "mixer_clm_d1024": dict(family="mixer", augmented=False, modelDim=1024),
    "llama_eem_256c4_d512": dict(
        family="llama", augmented=True, encoderDim=256, embeddingDim=64, modelDim=512, headCount=4
    ),
    "mixer_eem_256c4_d1024": dict(
        family="mixer", augmented=True, encoderDim=256, embeddingDim=64, modelDim=1024
    ),
}


def build(config):
    return (AugmentedDecoder if config["augmented"] else CausalModel)(config)


def is_linear(name, parameter):
    """Whether torch stores this as [out, in] and the library as [in, out]."""
    return parameter.dim() == 2 and not name.endswith(("embedding.weight", "mix.weight"))


def stored(name, tensor):
    return (tensor.t() if is_linear(name, tensor) else tensor).detach().float().contiguous()


def fill(model, generator):
    """Weights at scales where every part matters, drawn in float32 so that they store exactly."""
    with torch.no_grad():
        for name, parameter in model.named().items():
            draw = torch.randn(parameter.shape, generator=generator, dtype=torch.float32)
            if name.endswith("bias"):
                draw = 0.3 * draw
            elif "norm" in name.lower():
                draw = 1 + 0.2 * draw
            elif parameter.dim() == 2 and not name.endswith("embedding.weight"):
                draw = draw / math.sqrt(parameter.shape[1])
            parameter.copy_(draw)


def make_batches(config, generator):
    """Five batches: full rows, and rows with 2 and 3 pads in batches 0 and 3."""
    vocab, length = config["vocabSize"], config["contextLength"]
    ids = torch.randint(PAD + 1, vocab, (BATCHES, BATCH_SIZE, length), generator=generator)
    right_padded = config["family"] == "mixer" and not config["augmented"]
    for batch in (0, 3):
        for row, pads in ((1, 2), (2, 3)):
            place = slice(length - pads, length) if right_padded else slice(0, pads)
            ids[batch, row, place] = PAD
    return ids


def losses(model, ids, **options):
    logits = model.logits(ids, **options)
    targets = ids[:, 1:]
    labels = targets.masked_fill(targets == PAD, -100)
    token_losses = F.cross_entropy(
        model.target_logits(logits).transpose(1, 2), labels, ignore_index=-100, reduction="none"
    )
    scored = (labels != -100).to(torch.int32)
    return logits, token_losses, scored, token_losses.sum() / scored.sum()


def schedule(step, warmup, total):
    if step < warmup:
        return step / max(1, warmup)
    return max(0.0, (total - step) / max(1, total - warmup))


def train(model, batches, warmup, total):
    optimizer = torch.optim.AdamW(
        model.parameters(), lr=LEARNING_RATE, betas=(0.9, 0.999), eps=1e-8, weight_decay=0.0
    )
    history, norms = [], []
    for step in range(total):
        for group in optimizer.param_groups:
            group["lr"] = LEARNING_RATE * schedule(step, warmup, total)
        optimizer.zero_grad(set_to_none=True)
        loss = losses(model, batches[step % len(batches)])[-1]
        loss.backward()
        norms.append(nn.utils.clip_grad_norm_(model.parameters(), CLIP_NORM).item())
        optimizer.step()
        history.append(loss.item())
    return history, norms


def compute(config, weights, batches, dtype):
    def fresh():
        model = build(config).to(dtype)
        with torch.no_grad():
            for name, parameter in model.named().items():
                parameter.copy_(weights[name])
        return model

    model = fresh()
    logits, token_losses, scored, loss = losses(model, batches[0])
    loss.backward()
    tensors = {f"weights/{name}": stored(name, p) for name, p in model.named().items()}
    tensors |= {f"gradients/{name}": stored(name, p.grad) for name, p in model.named().items()}
    tensors |= {
        "batches": batches.to(torch.int32),
        "logits": logits.detach().float(),
        "tokenLosses": token_losses.detach().float(),
        "scored": scored,
        "loss": loss.detach().float().reshape(1),
    }
    if config["augmented"]:
        _, token_losses, _, loss = losses(model, batches[0], zero_memory=True)
        tensors |= {
            "embedding": model.embedding(batches[0]).detach().float(),
            "zeroMemoryTokenLosses": token_losses.detach().float(),
            "zeroMemoryLoss": loss.detach().float().reshape(1),
        }
    model = fresh()
    step_losses, norms = train(model, batches[:1], STEPS_WARMUP, STEPS)
    tensors |= {f"afterSteps/{name}": stored(name, p) for name, p in model.named().items()}
    curve, _ = train(fresh(), batches, CURVE_WARMUP, CURVE_STEPS)
    tensors |= {
        "stepLosses": torch.tensor(step_losses, dtype=torch.float32),
        "stepGradientNorms": torch.tensor(norms, dtype=torch.float32),
        "curveLosses": torch.tensor(curve, dtype=torch.float32),
    }
    return tensors


def deviation(exact, rounded):
    """Largest absolute float32 - float64 difference of each group of tensors."""
    groups = {}
    for name, tensor in exact.items():
        if tensor.is_floating_point() and not name.startswith("weights/"):
            group, _, parameter = name.partition("/")
            difference = (tensor - rounded[name]).abs()
            if group == "afterSteps":
                gradient = exact[f"gradients/{parameter}"].abs()
                difference[(gradient > 0) & (gradient < NEGLIGIBLE_GRADIENT)] = 0.0
            groups[group] = max(groups.get(group, 0.0), difference.max().item())
    return {group: float(f"{value:.2g}") for group, value in groups.items()}


def write_model(folder, name, options, seed):
    from safetensors.torch import save_file

    config = TINY | options
    generator = torch.Generator().manual_seed(seed)
    model = build(config)
    fill(model, generator)
    weights = {key: parameter.detach().clone() for key, parameter in model.named().items()}
    batches = make_batches(config, generator)
    tensors = compute(config, weights, batches, torch.float64)
    float32 = compute(config, weights, batches, torch.float32)
    save_file(tensors, folder / f"{name}.safetensors")
    header = {
        "script": "tests/reference/models_golden.py",
        "torch": torch.__version__.split("+")[0],
        "computedIn": "float64",
        "storedAs": "float32",
        "linearLayout": "[in, out]",
        "config": config,
        "parameters": {
            key.removeprefix("weights/"): list(tensor.shape)
            for key, tensor in tensors.items()
            if key.startswith("weights/")
        },
        "training": {
            "optimizer": "AdamW",
            "learningRate": LEARNING_RATE,
            "beta1": 0.9,
            "beta2": 0.999,
            "epsilon": 1e-8,
            "weightDecay": 0,
            "clipNorm": CLIP_NORM,
            "steps": STEPS,
            "warmupSteps": STEPS_WARMUP,
            "learningRates": [
                LEARNING_RATE * schedule(step, STEPS_WARMUP, STEPS) for step in range(STEPS)
            ],
            "curveSteps": CURVE_STEPS,
            "curveWarmupSteps": CURVE_WARMUP,
            "negligibleGradient": NEGLIGIBLE_GRADIENT,
        },
        "float32Deviation": deviation(tensors, float32),
    }
    (folder / f"{name}.json").write_text(json.dumps(header, indent=2) + "\n")
    print(
        f"{name}: loss {tensors['loss'].item():.4f}, gradient norms",
        [round(norm, 3) for norm in tensors["stepGradientNorms"].tolist()],
        f"curve {tensors['curveLosses'][0]:.4f} -> {tensors['curveLosses'][-1]:.4f}",
    )


def write_counts(folder):
    counts = {}
    for name, options in PAPER_MODELS.items():
        config = PAPER | options
        with torch.device("meta"):
            parameters = build(config).named()
        parts = {}
        for key, parameter in parameters.items():
            part = key.split(".")[0]
            parts[part] = parts.get(part, 0) + parameter.numel()
        total = sum(parts.values())
        counts[name] = {"config": config, "total": total, "parts": parts}
        print(f"{name}: {total:,} parameters")
    (folder / "parameter_counts.json").write_text(json.dumps(counts, indent=2) + "\n")


def compare_with_transformers():
    from transformers import LlamaConfig, LlamaForCausalLM

    config = TINY | MODELS["llama_clm"]
    ours = build(config)
    fill(ours, torch.Generator().manual_seed(0))
    ours = ours.double()
    theirs = LlamaForCausalLM(
        LlamaConfig(
            vocab_size=config["vocabSize"],
            hidden_size=config["modelDim"],
            intermediate_size=4 * config["modelDim"],
            num_hidden_layers=config["layerCount"],
            num_attention_heads=config["headCount"],
            attn_implementation="sdpa",
        )
    ).double()
    names = {
        "embedding": "model.embed_tokens",
        "blocks": "model.layers",
        "norm1": "input_layernorm",
        "attention.query": "self_attn.q_proj",
        "attention.key": "self_attn.k_proj",
        "attention.value": "self_attn.v_proj",
        "attention.output": "self_attn.o_proj",
        "norm2": "post_attention_layernorm",
        "feedForward.": "mlp.",
        "finalNorm": "model.norm",
        "head": "lm_head",
        ".gate": ".gate_proj",
        ".up": ".up_proj",
        ".down": ".down_proj",
    }
    state = {}
    for name, parameter in ours.named().items():
        for ours_part, theirs_part in names.items():
            name = name.replace(ours_part, theirs_part)
        state[name] = parameter.detach()
    theirs.load_state_dict(state)
    ids = make_batches(config, torch.Generator().manual_seed(1))[0]
    labels = ids.masked_fill(ids == PAD, -100)
    result = theirs(
        input_ids=ids,
        attention_mask=(ids != PAD).long(),
        position_ids=torch.arange(ids.shape[1])[None].expand_as(ids),
        labels=labels,
    )
    logits, _, _, loss = losses(ours, ids)
    # transformers keeps its RMS norm and rotary tables in float32: agreement is to about 1e-6.
    print("largest logit difference:", (logits - result.logits).abs().max().item())
    print("loss difference:", abs(loss.item() - result.loss.item()))


def main():
    parser = argparse.ArgumentParser(description="Writes golden values of the models.")
    parser.add_argument("--compare-with-transformers", action="store_true")
    parser.add_argument(
        "--out",
        type=pathlib.Path,
        default=pathlib.Path(__file__).parent.parent / "golden" / "models",
    )
    options = parser.parse_args()
    torch.set_num_threads(1)
    if options.compare_with_transformers:
        compare_with_transformers()
        return
    options.out.mkdir(parents=True, exist_ok=True)
    for seed, (name, config) in enumerate(MODELS.items()):
        write_model(options.out, name, config, seed)
    write_counts(options.out)


if __name__ == "__main__":
    main()
