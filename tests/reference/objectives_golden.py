"""Golden values for the loss forms of §5.1, from a PyTorch model in float64.

Run (any machine, CPU, a few seconds):

    pip install torch==2.15.0 safetensors==0.8.0 numpy
    python tests/reference/objectives_golden.py          # writes tests/golden/train/objectives.json

Section numbers refer to data/paper.md. The model, its weights and the batches are those of the
golden causal transformer with a head bias (tests/golden/models); nothing of the library is used.
Gradients are autograd's, of the forms as they are written below, not as the library derives them.

What is written
---------------
    weights             the name of the golden model
    learningRate        of every step, without a schedule; AdamW and clip-norm as in models_golden.py
    estimates, shares   [5][B][N]: e of every token in nats, and from 0 to 1 for form `weight`. Pads
                        and first tokens have numbers too, large ones, which must have no effect
    cases               by name:
        objective, penalties    in the library's words
        losses                  [5] before each of five AdamW steps; step s trains on batches[s]
        gradientNorms           [5] before clipping
        gradients, afterSteps   of the parameters PARAMETERS, as models_golden.py stores them: of
                                the first step, and after the last
    float32Deviation    how far the same computation in torch's float32 lands from it, at most

Targets of forms with estimates are tokens that follow a token, of `plain` and `label-smoothing` all
tokens 1 … N-1 that are no pad. The loss is the mean over them. (The original divides by the number
of all tokens, first ones included, §5.1: another scale.)
"""

import argparse
import pathlib

import torch
import torch.nn.functional as F
from torch import nn

from entropy_golden import GOLDEN, config_at, load
from models_golden import BATCHES, CLIP_NORM, PAD, named, stored, write_json

WEIGHTS = "transformer_clm_head_bias"
LEARNING_RATE = 1e-2
SCALE = 2.5
THRESHOLD = 2.5
SHARE = 0.1
PARAMETERS = ("embedding.weight", "head.weight", "head.bias")
DIGITS = 9
# Nearer to an estimate, float32 could find a loss on its other side.
MARGIN = 1e-3

# Of cross-entropies ce and estimates e.
FORMS = {
    "weight": lambda ce, e: (1 - e) * ce,
    "excess-weight": lambda ce, e: (ce - e) * ce,
    "signed": lambda ce, e: ce - e,
    "flooding": lambda ce, e: (ce - e).mean().abs(),
    "absolute": lambda ce, e: SCALE * (ce - e).abs(),
    "one-sided": lambda ce, e: torch.maximum(ce, e),
    "below": lambda ce, e: ce * (e < THRESHOLD),
    "above": lambda ce, e: ce * (ce > e),
}
OPTIONS = {
    "absolute": {"scale": SCALE},
    "below": {"threshold": THRESHOLD},
    "label-smoothing": {"share": SHARE},
}
L1, L2 = {"l1": 0.01}, {"l2": 0.1}
CASES = {
    **{form: (form, {}) for form in ("plain", *FORMS, "label-smoothing")},
    "plain, L1": ("plain", L1),
    "plain, L2": ("plain", L2),
    "absolute, both penalties": ("absolute", L1 | L2),
}


def draw_estimates(ids):
    """Short binary fractions, and one that is the threshold; 7.5 where there is no estimate."""
    generator = torch.Generator().manual_seed(5)
    estimates = torch.randint(32, 320, ids.shape, generator=generator) / 64
    estimates[0, 0, 2] = THRESHOLD
    shares = torch.randint(0, 65, ids.shape, generator=generator) / 64
    absent = torch.ones_like(ids, dtype=torch.bool)
    absent[..., 1:] = ~compared(ids)
    return estimates.masked_fill(absent, 7.5), shares.masked_fill(absent, 7.5)


def compared(ids):
    """Targets 1 … N-1 that are tokens and follow one."""
    return (ids[..., 1:] != PAD) & (ids[..., :-1] != PAD)


def token_loss(model, form, ids, estimates):
    predictions, targets = model.predictions(model.logits(ids), ids)
    logits, labels = predictions.transpose(1, 2), targets.masked_fill(targets == PAD, -100)
    if form in ("plain", "label-smoothing"):
        return F.cross_entropy(logits, labels, label_smoothing=0.0 if form == "plain" else SHARE)
    ce = F.cross_entropy(logits, labels, reduction="none")[compared(ids)]
    e = estimates[:, 1:][compared(ids)].to(ce.dtype)
    if form != "weight":
        assert (ce - e).abs().min() > MARGIN and (ce > e).any() and (ce < e).any()
    return FORMS[form](ce, e).mean()


def penalty(model, l1=0.0, l2=0.0):
    """Of matrices: gains and biases are vectors."""
    weights = [parameter for parameter in model.parameters() if parameter.dim() > 1]
    return sum(l1 * w.abs().sum() + l2 / 2 * w.square().sum() for w in weights)


def compute(form, penalties, batches, estimates, dtype):
    model = load(config_at(WEIGHTS, None), WEIGHTS, dtype)
    parameters = [parameter.requires_grad_() for parameter in model.parameters()]
    optimizer = torch.optim.AdamW(
        parameters, lr=LEARNING_RATE, betas=(0.9, 0.999), eps=1e-8, weight_decay=0.0
    )
    losses, norms, gradients = [], [], None
    for ids, numbers in zip(batches, estimates):
        optimizer.zero_grad(set_to_none=True)
        loss = token_loss(model, form, ids, numbers) + penalty(model, **penalties)
        loss.backward()
        if gradients is None:
            # Copies: clipping changes gradients in place.
            gradients = {name: stored(name, named(model)[name].grad.clone()) for name in PARAMETERS}
        losses.append(loss.item())
        norms.append(nn.utils.clip_grad_norm_(parameters, CLIP_NORM).item())
        optimizer.step()
    return {
        "losses": torch.tensor(losses),
        "gradientNorms": torch.tensor(norms),
        "gradients": gradients,
        "afterSteps": {name: stored(name, named(model)[name]) for name in PARAMETERS},
    }


def rounded(value):
    if isinstance(value, dict):
        return {key: rounded(one) for key, one in value.items()}
    return [float(f"{number:.{DIGITS}g}") for number in value.flatten().tolist()]


def deviation(exact, single):
    if isinstance(exact, dict):
        return max(deviation(value, single[key]) for key, value in exact.items())
    return (exact - single).abs().max().item()


def main():
    parser = argparse.ArgumentParser(description="Writes golden values of the loss forms.")
    parser.add_argument("--out", type=pathlib.Path, default=GOLDEN / "train")
    options = parser.parse_args()
    torch.set_num_threads(1)
    from safetensors.torch import load_file

    batches = load_file(GOLDEN / "models" / f"{WEIGHTS}.safetensors")["batches"].long()
    assert len(batches) == BATCHES
    estimates, shares = draw_estimates(batches)
    cases, largest = {}, {}
    for name, (form, penalties) in CASES.items():
        numbers = shares if form == "weight" else estimates
        exact = compute(form, penalties, batches, numbers, torch.float64)
        single = compute(form, penalties, batches, numbers, torch.float32)
        for key, value in exact.items():
            largest[key] = max(largest.get(key, 0.0), deviation(value, single[key]))
        cases[name] = {
            "objective": {"form": form, **OPTIONS.get(form, {})},
            "penalties": penalties,
            **rounded(exact),
        }
        print(f"{name}: losses {cases[name]['losses']}, norms {cases[name]['gradientNorms']}")
    options.out.mkdir(parents=True, exist_ok=True)
    write_json(
        options.out / "objectives.json",
        {
            "script": "tests/reference/objectives_golden.py",
            "torch": torch.__version__.split("+")[0],
            "computedIn": "float64",
            "storedAs": "float32",
            "weights": WEIGHTS,
            "learningRate": LEARNING_RATE,
            "estimates": estimates.tolist(),
            "shares": shares.tolist(),
            "cases": cases,
            "float32Deviation": {key: float(f"{value:.2g}") for key, value in largest.items()},
        },
    )
    print(largest)


if __name__ == "__main__":
    main()
