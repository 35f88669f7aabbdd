"""Golden values of training for quantization (§6.2), from a PyTorch model in float64.

Run (any machine, CPU, some seconds):

    pip install torch==2.15.0 safetensors==0.8.0 numpy
    python tests/reference/qat_training_golden.py       # writes tests/golden/qat/training.json

The model, its weights and batches are those of tests/golden/models; nothing of the library is used.
Noise is added as the original code does it, `z + rand * w`, less w/2 where it is symmetric, times
z where it is relative, with the library's random numbers: Philox as in attention_dropout_golden.py,
with the key

    (seed + i, step) modulo 2^32        of the i-th of the modules that have noise

and its numbers row by row in the library's layout: activations [T,B,D] (of the head those slots
alone that predict a token), an embedding [B,P], weights as they are stored. Formats have
straight-through gradients: x + (format(x) - x).detach().

What is written
---------------
    weights, seed       the golden model; the first number of every key before i is added
    cases               by name:
        qat             in the library's words
        learningRate    of every step, without a schedule: one at which nothing is near a tie
        losses, gradientNorms   [3] before each of three AdamW steps, clipped as in
                        models_golden.py; step s trains on batches[s]
        afterSteps      of the parameters PARAMETERS, as models_golden.py stores them
    float32Deviation    how far the same computation in torch's float32 lands from it, at most
"""

import argparse
import contextlib
import pathlib

import torch
from torch import nn

from attention_dropout_golden import uniform
from entropy_golden import GOLDEN, config_at, load
from hooks_golden import NearTie, changed, e4m3fn, modules_of, settled
from models_golden import CLIP_NORM, NEGLIGIBLE_GRADIENT, losses, named, stored, write_json
from objectives_golden import deviation, rounded

WEIGHTS = "mixer_transformer_eem"
STEPS = 3
SEED = 2**31 - 3  # Passes 2^31 - 1 with the modules' numbers.
LEARNING_RATES = [1e-3 + 1e-5 * k for k in range(100)]
# How far an activation may be off in float32, and a weight: it starts exact.
MARGIN = 1e-5
WEIGHT_MARGINS = (1e-7, 1e-6, 1e-6)
PARAMETERS = (
    "encoder.blocks.1.feedForward.contract.bias",
    "down.weight",
    "down.bias",
    "up.weight",
    "up.bias",
    "projection.weight",
    "decoder.head.weight",
)
# Where a module is changed.
SITES = {"embedding": "output", "residual": "input", "outputs": "output", "weights": "weight"}

NOISE = {"method": "noise", "width": 0.25}
ROUNDING = {"method": "fake-quantization"}
CASES = {
    "plain": None,
    "embedding, symmetric": {**NOISE, "at": "embedding"},
    "embedding, one-sided": {**NOISE, "at": "embedding", "oneSided": True},
    "residual, symmetric": {**NOISE, "at": "residual"},
    "residual, one-sided": {**NOISE, "at": "residual", "oneSided": True},
    "embedding, relative": {**NOISE, "at": "embedding", "relative": True},
    "residual, relative": {**NOISE, "at": "residual", "relative": True},
    "weights of up": {**NOISE, "at": "weights", "modules": ["up"]},
    "all weights": {**NOISE, "at": "weights"},
    "all outputs": {**NOISE, "at": "outputs", "modules": "all"},
    # Named in another order than the tree's.
    "some outputs, one-sided": {
        **NOISE,
        "at": "outputs",
        "oneSided": True,
        "modules": ["decoder.head", "encoder.blocks.1.mix", "encoder.embedding"],
    },
    "embedding in e4m3fn": {**ROUNDING, "at": "embedding", "quantization": {"format": "e4m3fn"}},
    "weights of two layers in int8": {
        **ROUNDING,
        "at": "weights",
        "modules": ["up", "projection"],
        "quantization": {"format": "int8", "scaling": "row"},
    },
    "all weights in int4": {
        **ROUNDING,
        "at": "weights",
        "quantization": {"format": "int4", "scaling": "row"},
    },
    "some outputs in e4m3fn": {
        **ROUNDING,
        "at": "outputs",
        "modules": ["down", "decoder.blocks.1.attention.key", "decoder.head"],
        "quantization": {"format": "e4m3fn"},
    },
}


def activation_noise(name, y, key, first):
    """In torch's layout, from the library's; of the head, slots from `first` on but the last."""
    if y.dim() == 2:
        return uniform(y.shape, key)
    batch, length, width = y.shape
    if not name.endswith("head"):
        return uniform((length, batch, width), key).transpose(0, 1)
    predicting = uniform((length - 1 - first, batch, width), key).transpose(0, 1)
    return nn.functional.pad(predicting, (0, 0, first, 1))


def weight_noise(name, weight, key):
    """In torch's layout, from the library's."""
    if weight.dim() == 3:
        out, _, taps = weight.shape
        return uniform((out, taps * out), key).view(out, taps, out).transpose(1, 2)
    if name.endswith("embedding"):
        return uniform(weight.shape, key)
    return uniform(weight.shape[::-1], key).t()


def with_noise(qat, name, site, key, first):
    width = qat["width"]
    low = 0.0 if qat.get("oneSided") else -width / 2

    def change(x):
        is_weight = site == "weight"
        rand = weight_noise(name, x, key) if is_weight else activation_noise(name, x, key, first)
        noise = (rand * width + low).to(x.dtype)
        if qat.get("relative"):
            noise = noise * x
        return x + (noise / 2 if qat["at"] == "residual" else noise)

    return change


def integers(x, largest, vectors, margin):
    """Codes with a scale for each of `vectors`, an axis; the library's rows are torch's columns."""
    scale = x.abs().amax(vectors, keepdim=True)
    scaled = x / scale * largest
    if ((scaled - scaled.floor() - 0.5).abs() < 2 * margin * largest / scale).any():
        raise NearTie
    return scaled.round() / largest * scale


def with_rounding(quantization, name, site, step, checked):
    format = quantization["format"]
    if format == "e4m3fn":
        rounding = settled(e4m3fn, MARGIN) if checked else e4m3fn
    else:
        largest = 2 ** (int(format.removeprefix("int")) - 1) - 1
        assert site == "weight" and quantization["scaling"] == "row"

        margin = WEIGHT_MARGINS[step] if checked else 0.0

        def rounding(x):
            if x.dim() == 3:
                return integers(x, largest, (1, 2), margin)
            return integers(x, largest, 1 if name.endswith("embedding") else 0, margin)

    return lambda x: x + (rounding(x) - x).detach()


@contextlib.contextmanager
def quantization_aware(model, qat, step, checked):
    """The model as it is in one step."""
    with contextlib.ExitStack() as stack:
        for index, name in enumerate(names_of(model, qat)):
            site = SITES[qat["at"]]
            if qat["method"] == "noise":
                first = 1 if model.join == "token" else 0
                change = with_noise(qat, name, site, (SEED + index, step), first)
            else:
                change = with_rounding(qat["quantization"], name, site, step, checked)
            stack.enter_context(changed(model, name, site, change))
        yield


def names_of(model, qat):
    """The modules that are changed, in the order of the tree."""
    if qat is None:
        return []
    if qat["at"] in ("embedding", "residual"):
        return ["down"]
    modules = qat.get("modules", "all")
    return [name for name in modules_of(model) if modules == "all" or name in modules]


def compute(qat, rate, batches, dtype, checked):
    model = load(config_at(WEIGHTS, None), WEIGHTS, dtype).requires_grad_(True)
    parameters = named(model)
    optimizer = torch.optim.AdamW(
        parameters.values(), lr=rate, betas=(0.9, 0.999), eps=1e-8, weight_decay=0.0
    )
    found_losses, norms = [], []
    for step in range(STEPS):
        optimizer.zero_grad(set_to_none=True)
        with quantization_aware(model, qat, step, checked):
            loss = losses(model, batches[step])[-1]
            loss.backward()
        assert all(named(model)[name] is parameter for name, parameter in parameters.items())
        for name in PARAMETERS:  # AdamW would make steps of the rounding noise of smaller ones.
            assert parameters[name].grad.abs().min() > NEGLIGIBLE_GRADIENT, name
        found_losses.append(loss.item())
        norms.append(nn.utils.clip_grad_norm_(parameters.values(), CLIP_NORM).item())
        optimizer.step()
    return {
        "losses": torch.tensor(found_losses),
        "gradientNorms": torch.tensor(norms),
        "afterSteps": {name: stored(name, parameters[name]) for name in PARAMETERS},
    }


def settled_case(qat, batches):
    for rate in LEARNING_RATES:
        with contextlib.suppress(NearTie):
            return rate, compute(qat, rate, batches, torch.float64, checked=True)
    raise SystemExit(f"{qat}: a number is near a tie at every learning rate")


def main():
    parser = argparse.ArgumentParser(description="Writes golden values of training, quantized.")
    parser.add_argument("--out", type=pathlib.Path, default=GOLDEN / "qat")
    options = parser.parse_args()
    torch.set_num_threads(1)
    from safetensors.torch import load_file

    batches = load_file(GOLDEN / "models" / f"{WEIGHTS}.safetensors")["batches"].long()
    cases, largest = {}, {}
    for name, qat in CASES.items():
        rate, exact = settled_case(qat, batches)
        single = compute(qat, rate, batches, torch.float32, checked=False)
        for key, value in exact.items():
            largest[key] = max(largest.get(key, 0.0), deviation(value, single[key]))
        cases[name] = {**({"qat": qat} if qat else {}), "learningRate": rate, **rounded(exact)}
        print(f"{name}: rate {rate}, losses {cases[name]['losses']}")
    options.out.mkdir(parents=True, exist_ok=True)
    write_json(
        options.out / "training.json",
        {
            "script": "tests/reference/qat_training_golden.py",
            "torch": torch.__version__.split("+")[0],
            "computedIn": "float64",
            "storedAs": "float32",
            "weights": WEIGHTS,
            "seed": SEED,
            "cases": cases,
            "float32Deviation": {key: float(f"{value:.2g}") for key, value in largest.items()},
        },
    )
    print(largest)


if __name__ == "__main__":
    main()
