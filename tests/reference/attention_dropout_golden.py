"""Golden values for attention dropout (§5.2), from PyTorch models in float64.

Run (any machine, CPU, some seconds):

    pip install torch==2.15.0 safetensors==0.8.0 numpy
    python tests/reference/attention_dropout_golden.py     # writes tests/golden/attention_dropout/

The models are those of models_golden.py with the weights and batches[0] of tests/golden/models.
Hugging Face's Llama drops attention weights with nn.functional.dropout, after the softmax and before
the values. So do these, but with the library's random numbers in place of torch's: Philox 4x32-10
(Salmon et al., SC 2011), written anew here from the paper. Nothing of the library is used.

    u[i]     word i % 4 of Philox(key, counter (i / 4, 0, 0, 0)), as a signed integer / 2^32 + 1/2
    key      (seed_0 + layer, seed_1) modulo 2^32
    weights  kept and divided by 1 - rate where u >= rate, else 0; i counts [B,H,T,T] row by row

`M.safetensors` for each of `CASES`, computed in float64 and rounded to float32:

    tokenLosses [B,P], loss [1], gradients/<name>    as in tests/golden/models

`M.json`: rate, seed, the golden model of weights and batch, and float32Deviation as there.
"""

import math
import pathlib

import numpy
import torch
import torch.nn.functional as F
from torch import nn

from entropy_golden import GOLDEN, load
from models_golden import MODELS, deviation, losses, named, stored, write_json

# A step's number in the seed's second half; a seed that passes 2^31 - 1 with the layer's number.
CASES = {
    "llama_clm": {"rate": 0.1, "seed": [7, 3]},
    "transformer_clm_learned_positions": {"rate": 0.5, "seed": [2**31 - 1, -5]},
}
WORD = 2**32


def philox(key, counter):
    """Ten rounds of Philox 4x32 for each counter [n, 4], uint64 that hold 32 bits."""
    (k0, k1), (c0, c1, c2, c3) = key, counter.T
    for _ in range(10):
        product0, product1 = 0xD2511F53 * c0, 0xCD9E8D57 * c2
        c0, c2 = product1 // WORD ^ c1 ^ k0, product0 // WORD ^ c3 ^ k1
        c1, c3 = product1 % WORD, product0 % WORD
        k0, k1 = (k0 + 0x9E3779B9) % WORD, (k1 + 0xBB67AE85) % WORD
    return numpy.stack([c0, c1, c2, c3], axis=1)


# Known answer of the generator's authors (Random123, kat_vectors).
assert [f"{word:08x}" for word in philox((0, 0), numpy.zeros((1, 4), numpy.uint64))[0]] == [
    "6627e8d5",
    "e169c58d",
    "bc57ac4c",
    "9b00dbd8",
]


def uniform(shape, key):
    count = math.prod(shape)
    counter = numpy.zeros((-(-count // 4), 4), numpy.uint64)
    counter[:, 0] = numpy.arange(len(counter))
    words = philox([numpy.uint64(part % WORD) for part in key], counter).reshape(-1)[:count]
    return torch.from_numpy(words.astype(numpy.uint32).view(numpy.int32) / WORD + 0.5).view(shape)


class Dropout(nn.Module):
    def __init__(self, rate, key):
        super().__init__()
        self.rate, self.key = rate, key

    def forward(self, weights):
        kept = uniform(weights.shape, self.key) >= self.rate
        return torch.where(kept, weights / (1 - self.rate), 0.0)


def compute(name, rate, seed, dtype):
    from safetensors.torch import load_file

    model = load(MODELS[name], name, dtype).requires_grad_(True)
    for layer, block in enumerate(model.stack.blocks):
        block.attention.dropout = Dropout(rate, (seed[0] + layer, seed[1]))
    ids = load_file(GOLDEN / "models" / f"{name}.safetensors")["batches"][0].long()
    _, token_losses, _, loss = losses(model, ids)
    loss.backward()
    return {
        "tokenLosses": token_losses.detach().float(),
        "loss": loss.detach().float().reshape(1),
        **{f"gradients/{key}": stored(key, p.grad) for key, p in named(model).items()},
    }


def main():
    from safetensors.torch import save_file

    torch.set_num_threads(1)
    # What torch's own dropout makes of ones: the values that Dropout above may give.
    assert set(F.dropout(torch.ones(1000), 0.5).tolist()) == {0.0, 2.0}
    folder = GOLDEN / "attention_dropout"
    folder.mkdir(parents=True, exist_ok=True)
    for name, case in CASES.items():
        tensors = compute(name, **case, dtype=torch.float64)
        rounded = compute(name, **case, dtype=torch.float32)
        save_file(tensors, folder / f"{name}.safetensors")
        header = {
            "script": "tests/reference/attention_dropout_golden.py",
            "torch": torch.__version__.split("+")[0],
            "weights": name,
            **case,
            "float32Deviation": deviation(tensors, rounded),
        }
        write_json(folder / f"{name}.json", header)
        print(f"{name}: loss {tensors['loss'].item():.4f}")


if __name__ == "__main__":
    main()
