"""Golden values for the entropy estimators (§4.2 to §4.4), from PyTorch models in float64.

Run (any machine, CPU, some seconds):

    pip install torch==2.15.0 safetensors==0.8.0 numpy
    python tests/reference/entropy_golden.py                     # writes tests/golden/entropy/

Names (`mixer_eem`) as arguments write these files alone. Models are those of models_golden.py with
the weights of tests/golden/models; transformers with rotary positions run at another length than
there, since their weights do not depend on it. Nothing of the library is used.

What is written
---------------
`M.json` for each of `CASES`:

    model, weights     the configuration, and the name of the golden model whose weights it takes
    padId              hidden from transformers as a key; an ordinary token to mixers and LSTMs
    windows            [W][N] token ids: without pads, and with 2, N - 2 and N - 1 pads on the left
    estimates          by the library's name of the estimator, [W][N]: entry t is ABOUT TOKEN t;
                       null for pads and the first real token, and where there is none
    float32Deviation   how far the same computation in torch's float32 lands from it, per estimator

`two_window_M.json` for each of `PAIRS`: `longer` and `shorter` (model, weights), windows without
pads, and the estimate of every window's last token.

Estimators (CE cross-entropy in nats, O the logits that predict a token, m the memory)
--------------------------------------------------------------------------------------
loss                 CE of the token
predictive-entropy   causal models: entropy of softmax(O), nats
pad-shift-reference  §4.3 as it stands, 2N forwards: ids_0 = the window, ids_{i+1} = [PAD,
                     ids_i[:-1]], attention mask 0 at the new pad; S_i = sum of CE over all targets
                     1 ... N-1 of ids_i that are no pad; token N-1-i gets S_i - S_{i+1}, both terms
                     computed anew. The first real token has an entry here.
pad-shift            the same procedure, but the first real token of a row is no target. In the
                     reference it is one wherever a pad stands before it: in every row but the
                     window itself, if that has no pads. So S_0 - S_1, the LAST token's estimate,
                     lacks CE(token 0), and token 0 gets what its CE is in the last shift. The other
                     estimates differ by how that CE changes from one shift to the next.
occlusion-l1         sum over the vocabulary of |O - O'|, where O' has zeros for m and, in a
                     transformer, the slot of a token join hidden from attention
occlusion-cosine     1 - cos(O, O')
occlusion-loss       |CE - CE'|
gradient-input       sum_j |d(sum_v |O_v|) / dm_j * m_j|; m as it meets the decoder's tokens: the
                     slot's vector, z (embedding join), or the vector added to all tokens
two-window           §4.2: sum of CE of the longer model over the window - sum of CE of the shorter
                     model over its first N-1 tokens; token 0 is scored by neither
"""

import argparse
import json
import pathlib

import torch
import torch.nn.functional as F

from models_golden import PAD, TABLES, build, input_sizes, named, write_json

GOLDEN = pathlib.Path(__file__).parent.parent / "golden"
DIGITS = 9

# The golden model, and the length to run it at where that is not its own.
CASES = {
    "transformer_clm": ("llama_clm", 8),
    "mixer_clm": ("mixer_clm", None),
    "transformer_eem": ("llama_eem", 9),
    "transformer_eem_equal_widths": ("llama_eem_equal_widths", 8),
    "transformer_eem_embedding_join": ("transformer_eem_embedding_join", 8),
    "transformer_eem_linear_join": ("transformer_eem_linear_join", 8),
    "transformer_eem_earlier_state": ("transformer_eem_frozen", 7),
    "mixer_eem": ("mixer_eem", None),
    "mixer_eem_heads_and_kernel": ("mixer_eem_wide_encoder", None),
    "mixer_eem_embedding_join": ("mixer_eem_embedding_join", None),
    "mixer_eem_linear_join": ("mixer_eem_linear_join", None),
    "transformer_mixer_eem": ("transformer_mixer_eem", None),
    "mixer_transformer_eem": ("mixer_transformer_eem", None),
    "lstm_eem": ("lstm_eem", None),
}
PAIRS = {
    "two_window_transformer_eem": (("llama_eem", 9), ("llama_eem_equal_widths", 8)),
    "two_window_mixer_and_transformer_eem": (("mixer_eem", None), ("llama_eem", 5)),
    "two_window_clm": (("mixer_clm", None), ("llama_clm", 5)),
}


def config_at(weights, length):
    """The golden model's configuration at another length."""
    config = json.loads((GOLDEN / "models" / f"{weights}.json").read_text())["model"]
    if length is None:
        return config
    stacks = {key for key in ("backbone", "encoder", "decoder") if key in config}
    for key in stacks:
        assert config[key]["architecture"] == "transformer"
        assert config[key].get("positions", "rotary") == "rotary"
    more = length - input_sizes(config)[1]
    return config | {
        key: config[key] | {"contextLength": config[key]["contextLength"] + more}
        for key in stacks
    }


def load(config, weights, dtype):
    """A model with stored weights, their layout undone."""
    from safetensors.torch import load_file

    tensors = load_file(GOLDEN / "models" / f"{weights}.safetensors")
    model = build(config).to(dtype)
    with torch.no_grad():
        for name, parameter in named(model).items():
            values = tensors[f"weights/{name}"]
            if name.endswith("mix.weight"):
                *outer, taps = values.shape
                values = values.reshape(*outer, taps // outer[-1], outer[-1]).transpose(-1, -2)
            elif values.dim() == 2 and not name.endswith(("bias", *TABLES)):
                values = values.t()
            assert values.shape == parameter.shape, name
            parameter.copy_(values)
            parameter.requires_grad_(False)
    return model


def make_windows(config, seed):
    """Two windows without pads, one with two, one of pads and two tokens, one of a single token."""
    vocab, length = input_sizes(config)
    generator = torch.Generator().manual_seed(seed)
    ids = torch.randint(PAD + 1, vocab, (5, length), generator=generator)
    for row, pads in ((2, 2), (3, length - 2), (4, length - 1)):
        ids[row, :pads] = PAD
    return ids


def first_token(ids):
    """True at the first token of each row that is no pad."""
    real = ids != PAD
    return real & (real.cumsum(1) == 1)


def predictions(model, ids, memory=None, visible=None):
    """The logits [B,N-1,V] that predict tokens 1 … N-1, of a decoder handed `memory` if given."""
    logits = model.logits(ids) if memory is None else decode(model, ids, memory, visible)
    return model.predictions(logits, ids)[0]


def decode(model, ids, memory, slot_visible):
    """An augmented decoder's logits, given the memory [B,M] and whether its slot is seen."""
    tokens, visible = model.decoder.embedding(ids), ids != PAD
    memory = memory[:, None, :]
    if model.join == "token":
        x = torch.cat((memory, tokens), dim=1)
        slot = torch.full_like(visible[:, :1], slot_visible)
        visible = torch.cat((slot, visible), dim=1)
    elif model.join == "embedding":
        x = torch.cat((memory.expand(-1, ids.shape[1], -1), tokens), dim=2)
    else:
        x = tokens + memory
    return model.decoder.head(model.decoder.hidden(x, visible))


def cross_entropies(logits, ids):
    """[B,N-1]: of tokens 1 … N-1, pads included."""
    return F.cross_entropy(logits.transpose(1, 2), ids[:, 1:], reduction="none")


def about_tokens(values, ids):
    """[B,N-1] of outputs to [B,N] of the tokens that they predict; NaN where there is none."""
    values = torch.cat((torch.full_like(values[:, :1], torch.nan), values), dim=1)
    return values.masked_fill((ids == PAD) | first_token(ids), torch.nan)


def summed_loss(model, ids, first_is_target):
    targets = ids != PAD
    if not first_is_target:
        targets = targets & ~first_token(ids)
    return (cross_entropies(predictions(model, ids), ids) * targets[:, 1:]).sum(1)


def shifted(ids, count):
    for _ in range(count):
        ids = torch.cat((torch.full_like(ids[:, :1], PAD), ids[:, :-1]), dim=1)
    return ids


def pad_shift(model, ids, first_is_target):
    estimates = []
    for i in range(ids.shape[1]):
        longer = summed_loss(model, shifted(ids, i), first_is_target)
        shorter = summed_loss(model, shifted(ids, i + 1), first_is_target)
        estimates.append(longer - shorter)
    by_position = torch.stack(estimates[::-1], dim=1)
    absent = ids == PAD
    if not first_is_target:
        absent = absent | first_token(ids)
    return by_position.masked_fill(absent, torch.nan)


def gradient_input(model, ids):
    memory = model.memory(ids)
    with torch.enable_grad():
        leaf = memory.clone().requires_grad_()
        norms = predictions(model, ids, leaf, True).abs().sum(2)
        columns = []
        for at in range(norms.shape[1]):
            # Rows do not meet: the gradient of their sum is each row's own.
            (gradient,) = torch.autograd.grad(norms[:, at].sum(), leaf, retain_graph=True)
            columns.append((gradient * memory).abs().sum(1))
    return torch.stack(columns, dim=1)


def estimates(model, kind, ids):
    logits = predictions(model, ids)
    losses = cross_entropies(logits, ids)
    outputs = {"loss": losses}
    if kind == "causal":
        log_probabilities = logits.log_softmax(2)
        outputs["predictive-entropy"] = -(log_probabilities.exp() * log_probabilities).sum(2)
        return {name: about_tokens(values, ids) for name, values in outputs.items()}
    memory = model.memory(ids)
    assert torch.equal(predictions(model, ids, memory, True), logits)
    occluded = predictions(model, ids, torch.zeros_like(memory), False)
    outputs |= {
        "occlusion-l1": (logits - occluded).abs().sum(2),
        "occlusion-cosine": 1 - F.cosine_similarity(logits, occluded, dim=2),
        "occlusion-loss": (losses - cross_entropies(occluded, ids)).abs(),
        "gradient-input": gradient_input(model, ids),
    }
    named_estimates = {name: about_tokens(values, ids) for name, values in outputs.items()} | {
        "pad-shift": pad_shift(model, ids, first_is_target=False),
        "pad-shift-reference": pad_shift(model, ids, first_is_target=True),
    }
    # Sums of differences: what is left is the window's own loss.
    totals = named_estimates["loss"].nansum(1)
    assert torch.allclose(named_estimates["pad-shift"].nansum(1), totals, atol=1e-4)
    return named_estimates


def two_window(longer, shorter, ids):
    def total(model, ids):
        return cross_entropies(predictions(model, ids), ids).sum(1)

    values = torch.full(ids.shape, torch.nan, dtype=torch.float64)
    values[:, -1] = total(longer, ids) - total(shorter, ids[:, :-1])
    return values


def rounded(values):
    return [
        [None if value != value else float(f"{value:.{DIGITS}g}") for value in row]
        for row in values.tolist()
    ]


def both_precisions(compute):
    """Estimates as lists, and how far float32 lands from them."""
    exact, single = compute(torch.float64), compute(torch.float32)
    largest = {
        name: (values - single[name]).abs().nan_to_num(0).max().item()
        for name, values in exact.items()
    }
    return {
        "estimates": {name: rounded(values) for name, values in exact.items()},
        "float32Deviation": {name: float(f"{value:.2g}") for name, value in largest.items()},
    }


def header(ids):
    return {
        "script": "tests/reference/entropy_golden.py",
        "torch": torch.__version__.split("+")[0],
        "computedIn": "float64",
        "padId": PAD,
        "windows": ids.tolist(),
    }


def write(folder, name, value):
    write_json(folder / f"{name}.json", value)
    print(name, value["float32Deviation"])


def write_case(folder, name, seed):
    weights, length = CASES[name]
    config = config_at(weights, length)
    ids = make_windows(config, seed)

    def compute(dtype):
        return estimates(load(config, weights, dtype), config["kind"], ids)

    write(
        folder,
        name,
        header(ids) | {"weights": weights, "model": config} | both_precisions(compute),
    )


def write_pair(folder, name, seed):
    configs = [config_at(*side) for side in PAIRS[name]]
    weights = [weights for weights, _ in PAIRS[name]]
    ids = make_windows(configs[0], seed)[:2]

    def compute(dtype):
        sides = [load(config, stored, dtype) for config, stored in zip(configs, weights)]
        return {"two-window": two_window(*sides, ids)}

    sides = [dict(weights=stored, model=config) for config, stored in zip(configs, weights)]
    value = header(ids) | {"longer": sides[0], "shorter": sides[1]} | both_precisions(compute)
    write(folder, name, value)


def main():
    parser = argparse.ArgumentParser(description="Writes golden values of the estimators.")
    parser.add_argument("name", nargs="*", help="only these files, e.g. mixer_eem")
    parser.add_argument("--out", type=pathlib.Path, default=GOLDEN / "entropy")
    options = parser.parse_args()
    torch.set_num_threads(1)
    options.out.mkdir(parents=True, exist_ok=True)
    for place, name in enumerate([*CASES, *PAIRS]):
        if options.name and name not in options.name:
            continue
        (write_case if name in CASES else write_pair)(options.out, name, seed=1000 + place)


if __name__ == "__main__":
    main()
