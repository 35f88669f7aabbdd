"""JAX in the benchmarks: the same models written for JAX, one jitted step with donated state.

    python bench_jax.py WORK            see bench_protocol.py
    python bench_jax.py --check         compares token losses with tests/golden/models

Causal language models and token-joined EEMs of mixers (flat, kernel 1) and of transformers (rotary),
sections as in models_golden.py. Parameters are the library's, so linear weights are [in, out].
Batches have no pads. Threads are XLA's pool, which NPROC in the environment sizes.

Legend: B batch, T positions, D width, H heads.
"""

import functools
import json
import pathlib
import sys

import jax
import jax.numpy as jnp
from jax import lax
from safetensors.numpy import load_file

from bench_protocol import serve

BETA1, BETA2, EPSILON, CLIP_NORM = 0.9, 0.999, 1e-8, 1.0


def nested(tensors):
    """Dotted names as nested dictionaries."""
    tree = {}
    for name, value in tensors.items():
        *path, leaf = name.split(".")
        node = functools.reduce(lambda node, key: node.setdefault(key, {}), path, tree)
        node[leaf] = jnp.asarray(value)
    return tree


def linear(p, x):
    y = x @ p["weight"]
    return y + p["bias"] if "bias" in p else y


def layer_norm(p, x):
    mean = x.mean(-1, keepdims=True)
    variance = jnp.square(x - mean).mean(-1, keepdims=True)
    return (x - mean) * lax.rsqrt(variance + 1e-5) * p["weight"] + p["bias"]


def rms_norm(p, x):
    return p["weight"] * x * lax.rsqrt(jnp.square(x).mean(-1, keepdims=True) + 1e-6)


def mixer_block(p, x, config):
    """§2.1"""
    mix, inner = p["mix"], p["feedForward"]
    weight = jnp.tril(mix["weight"])
    mixed = jnp.einsum("ts,bsd->btd", weight, layer_norm(p["norm1"], x))
    x = x + mixed + mix["bias"][:, None]
    expanded = linear(inner["expand"], layer_norm(p["norm2"], x))
    return x + linear(inner["contract"], jax.nn.gelu(expanded, approximate=False))


def rotate(x):
    """RoPE, theta 10000, rotate-half. x [B, T, H, D/H]."""
    length, width = x.shape[1], x.shape[3]
    angle = jnp.arange(length)[:, None] * 10000.0 ** (-2 * jnp.arange(width // 2) / width)
    cos, sin = jnp.cos(angle)[:, None, :], jnp.sin(angle)[:, None, :]
    first, second = jnp.split(x, 2, axis=-1)
    return jnp.concatenate((first * cos - second * sin, second * cos + first * sin), axis=-1)


def attention(p, x, heads):
    def split(y):
        return y.reshape(*y.shape[:2], heads, -1)

    query, key, value = (split(linear(p[name], x)) for name in ("query", "key", "value"))
    mixed = jax.nn.dot_product_attention(rotate(query), rotate(key), value, is_causal=True)
    return linear(p["output"], mixed.reshape(x.shape))


def transformer_block(p, x, config):
    """§2.3"""
    x = x + attention(p["attention"], rms_norm(p["norm1"], x), config["headCount"])
    inner, normal = p["feedForward"], rms_norm(p["norm2"], x)
    gated = jax.nn.silu(linear(inner["gate"], normal)) * linear(inner["up"], normal)
    return x + linear(inner["down"], gated)


def hidden(p, x, config):
    block = {"mixer": mixer_block, "transformer": transformer_block}[config["architecture"]]
    for layer in range(config["layerCount"]):
        x = block(p["blocks"][str(layer)], x, config)
    return rms_norm(p["finalNorm"], x) if "finalNorm" in p else x


def embed(p, ids):
    return p["embedding"]["weight"][ids]


def logits(params, ids, config):
    """Those of tokens 1 … N − 1 of ids [B, N]."""
    if config["kind"] == "causal":
        states = hidden(params, embed(params, ids), config["backbone"])[:, :-1]
        return linear(params["head"], states)
    # §2.6: the embedding of the whole sequence stands in a slot before the tokens.
    encoder, decoder = params["encoder"], params["decoder"]
    memory = hidden(encoder, embed(encoder, ids), config["encoder"])[:, -1]
    for name in ("down", "up", "projection"):
        if name in params:
            memory = linear(params[name], memory)
    x = jnp.concatenate((memory[:, None], embed(decoder, ids)), axis=1)
    return linear(decoder["head"], hidden(decoder, x, config["decoder"])[:, 1:-1])


def token_losses(params, ids, config):
    scores = logits(params, ids, config)
    target = jnp.take_along_axis(scores, ids[:, 1:, None], axis=-1)[..., 0]
    return jax.nn.logsumexp(scores, axis=-1) - target


def mean_loss(params, ids, config):
    return token_losses(params, ids, config).mean()


def adamw(params, moments, gradients, count, rate):
    """After clipping by the global norm as torch does; weight decay 0."""
    norm = jnp.sqrt(sum(jnp.vdot(g, g) for g in jax.tree.leaves(gradients)))
    scale = jnp.minimum(1.0, CLIP_NORM / (norm + 1e-6))
    first, second = moments
    first = jax.tree.map(lambda m, g: BETA1 * m + (1 - BETA1) * scale * g, first, gradients)
    second = jax.tree.map(
        lambda m, g: BETA2 * m + (1 - BETA2) * jnp.square(scale * g), second, gradients
    )
    correction1, correction2 = 1 - BETA1**count, 1 - BETA2**count

    def update(p, m, v):
        return p - rate * (m / correction1) / (jnp.sqrt(v / correction2) + EPSILON)

    return jax.tree.map(update, params, first, second), (first, second)


def contestant(work):
    config, rate = work["model"], work["learningRate"]
    params = nested(load_file(work["weights"]))
    if work["task"] == "evaluation":
        evaluate = jax.jit(functools.partial(mean_loss, config=config))
        return lambda ids: float(evaluate(params, ids))

    @functools.partial(jax.jit, donate_argnums=0)
    def train(state, ids):
        params, moments, count = state
        loss, gradients = jax.value_and_grad(mean_loss)(params, ids, config)
        count = count + 1
        return (*adamw(params, moments, gradients, count, rate), count), loss

    def zeros():
        return jax.tree.map(jnp.zeros_like, params)

    state = (params, (zeros(), zeros()), jnp.float32(0))

    def step(ids):
        nonlocal state
        state, loss = train(state, ids)
        return float(loss)

    return step


CHECKED = (
    "mixer_clm",
    "llama_clm",
    "mixer_eem",
    "mixer_eem_equal_widths",
    "llama_eem",
    "llama_eem_equal_widths",
)


def check():
    """Rows without pads of each golden's first batch, to float32's precision."""
    folder = pathlib.Path(__file__).parent.parent / "golden" / "models"
    failed = False
    for name in CHECKED:
        header = json.loads((folder / f"{name}.json").read_text())
        golden = load_file(folder / f"{name}.safetensors")
        params = nested(
            {
                key.removeprefix("weights/"): value
                for key, value in golden.items()
                if key.startswith("weights/")
            }
        )
        ids, expected = golden["batches"][0], golden["tokenLosses"]
        full = (ids != header["padId"]).all(1)
        found = token_losses(params, ids[full], header["model"])
        difference = float(jnp.abs(found - expected[full]).max())
        failed |= not (full.any() and difference < 1e-5)
        print(f"{name}: {full.sum()} rows, largest difference {difference:.1e} nats")
    sys.exit(failed)


if __name__ == "__main__":
    if sys.argv[1] == "--check":
        check()
    work = json.loads(sys.argv[1])
    serve(work, contestant(work))
