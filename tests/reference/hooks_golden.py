"""Golden values of hooks (§6.1): models with one module rounded, in float64 PyTorch.

Run (any machine, CPU, some ten seconds):

    pip install torch==2.15.0 safetensors==0.8.0 numpy
    python tests/reference/hooks_golden.py          # writes tests/golden/qat/hooks.json

The models are those of models_golden.py with the weights and batches of tests/golden/models;
nothing of the library is used. Activations are rounded by torch's own hooks, weights by its
parametrizations, one module at a time.

What is written
---------------
For each of `MODELS`:

    modules     their names, in the order of torch's modules
    plain       [B (N-1)] token losses on batches[0] without a hook, nats, row by row
    cases       by site and rounding, e.g. "output, eighths", and module:
        batch       the first of the five on which no activation is near a tie
        tokenLosses     on that batch, as in `plain`

Sites: `output` and `input` of activations, `weight`. Roundings: to multiples of 1/8, half to
even, and torch's cast to e4m3fn. Mixing heads stand side by side: their input and output are what
goes into the convolutions and what comes out of them, between the linear layers `input` and
`output`. The table of learned positions is added as a whole, so that its output is its weight.
"""

import argparse
import contextlib
import pathlib

import torch
from torch import nn
from torch.nn.utils import parametrize

from entropy_golden import GOLDEN, config_at, load
from models_golden import MultiHeadTokenMix, TokenMix, losses, write_json

MODELS = (
    "llama_eem",
    "mixer_eem_wide_encoder",
    "transformer_eem_embedding_join",
    "transformer_clm_learned_positions",
)
DIGITS = 7
# Of numbers up to 1: nearer to a tie, float32 could round an activation to another number.
MARGIN = 5e-6


def eighths(x):
    return (8 * x).round() / 8


def e4m3fn(x):
    return x.to(torch.float8_e4m3fn).to(x.dtype)


ROUNDINGS = {"eighths": eighths, "e4m3fn": e4m3fn}
CASES = (
    ("output", "eighths"),
    ("output", "e4m3fn"),
    ("input", "eighths"),
    ("weight", "eighths"),
    ("weight", "e4m3fn"),
)


class NearTie(Exception):
    pass


def settled(rounding, margin=MARGIN):
    """The rounding, of numbers that are not near a tie."""

    def change(x):
        near = margin * x.abs().clamp(min=1)
        if not torch.equal(rounding(x - near), rounding(x + near)):
            raise NearTie
        return rounding(x)

    return change


def modules_of(model):
    """What has a weight of two axes or more, by the library's names."""
    kinds = (nn.Linear, nn.Embedding, TokenMix, MultiHeadTokenMix)
    return {
        name.removeprefix("stack."): module
        for name, module in model.named_modules()
        if isinstance(module, kinds)
    }


class Parametrization(nn.Module):
    def __init__(self, change):
        super().__init__()
        self.change = change

    def forward(self, weight):
        return self.change(weight)


def on_output(module, change):
    return module.register_forward_hook(lambda _module, _inputs, y: change(y))


def on_input(module, change):
    return module.register_forward_pre_hook(lambda _module, inputs: (change(inputs[0]),))


@contextlib.contextmanager
def changed(model, name, site, change):
    """The model with what goes into a module, comes out of it or is its weight changed."""
    module = modules_of(model)[name]
    is_heads = isinstance(module, MultiHeadTokenMix)
    is_output = site == "output"
    # The table of positions is not called.
    is_weight = site == "weight" or (is_output and name.endswith("positions"))
    if is_weight:
        parametrize.register_parametrization(module, "weight", Parametrization(change))
    elif is_heads:
        handle = on_input(module.output, change) if is_output else on_output(module.input, change)
    else:
        handle = on_output(module, change) if is_output else on_input(module, change)
    try:
        yield
    finally:
        if is_weight:
            parametrize.remove_parametrizations(module, "weight", leave_parametrized=False)
        else:
            handle.remove()


def token_losses(model, ids):
    return losses(model, ids)[1].flatten()


def compute(model, name, site, change, ids):
    with changed(model, name, site, change):
        return token_losses(model, ids)


def write_case(models, name, site, rounding, batches):
    exact, single = models
    change = ROUNDINGS[rounding]
    for index, ids in enumerate(batches):
        try:
            checked = change if site == "weight" else settled(change)
            values = compute(exact, name, site, checked, ids)
        except NearTie:
            continue
        # Rounding changes something, and float32 the same.
        assert (values - token_losses(exact, ids)).abs().max() > 1e-4, (name, site, rounding)
        deviation = (values - compute(single, name, site, change, ids)).abs().max().item()
        return {"batch": index, "tokenLosses": rounded(values)}, deviation
    raise SystemExit(f"{name}: every batch has a number near a tie of {rounding}")


def rounded(values):
    return [float(f"{value:.{DIGITS}g}") for value in values.tolist()]


def write_model(weights):
    from safetensors.torch import load_file

    config = config_at(weights, None)
    batches = load_file(GOLDEN / "models" / f"{weights}.safetensors")["batches"].long()
    models = [load(config, weights, dtype) for dtype in (torch.float64, torch.float32)]
    names = list(modules_of(models[0]))
    cases, largest = {}, 0.0
    for site, rounding in CASES:
        found = {}
        for name in names:
            if site == "input" and name.endswith(("embedding", "positions")):
                continue
            found[name], deviation = write_case(models, name, site, rounding, batches)
            largest = max(largest, deviation)
        cases[f"{site}, {rounding}"] = found
    print(f"{weights}: {len(names)} modules, float32 deviates by {largest:.2g}")
    value = {"modules": names, "plain": rounded(token_losses(models[0], batches[0]))}
    return value | {"cases": cases, "float32Deviation": float(f"{largest:.2g}")}


def main():
    parser = argparse.ArgumentParser(description="Writes golden values of hooks.")
    parser.add_argument("--out", type=pathlib.Path, default=GOLDEN / "qat")
    options = parser.parse_args()
    torch.set_num_threads(1)
    # Half to even, and subnormal numbers of the format.
    assert eighths(torch.tensor([0.0625, 0.1875])).tolist() == [0.0, 0.25]
    assert e4m3fn(torch.tensor([1.0625, 2.0**-9])).tolist() == [1.0, 2.0**-9]
    options.out.mkdir(parents=True, exist_ok=True)
    write_json(
        options.out / "hooks.json",
        {
            "script": "tests/reference/hooks_golden.py",
            "torch": torch.__version__.split("+")[0],
            "computedIn": "float64",
            "models": {weights: write_model(weights) for weights in MODELS},
        },
    )


if __name__ == "__main__":
    main()
