"""PyTorch in the benchmarks: the models of models_golden.py as a good user would train them.

    python bench_torch.py eager|compile WORK        see bench_protocol.py
    python bench_torch.py matmul THREADS SIZE…      GFLOP/s of square float32 products, as JSON

What differs from the goldens' oracle: attention is torch's own scaled_dot_product_attention with
is_causal and rotary tables made once, the loss is one cross_entropy over all rows, AdamW is the
fused one. "compile" is torch.compile of model and loss with its default options. Batches have no
pads. Products in bfloat16 are those of torch.set_float32_matmul_precision("medium").
"""

import json
import sys
import time

import torch
import torch.nn.functional as F
from safetensors.torch import load_file
from torch import nn

from bench_protocol import serve
from models_golden import CLIP_NORM, Attention, LlamaBlock, build, named


class FusedAttention(Attention):
    """Causal, rotary, without pads."""

    def __init__(self, width, heads, length):
        super().__init__(width, heads, rotary=True, causal=True)
        head = width // heads
        pair = torch.arange(head // 2, dtype=torch.float32)
        angle = torch.arange(length)[:, None] * 10000.0 ** (-2 * pair / head)
        self.register_buffer("cos", angle.cos(), persistent=False)
        self.register_buffer("sin", angle.sin(), persistent=False)

    def rotate(self, x):
        first, second = x.chunk(2, dim=-1)
        cos, sin = self.cos, self.sin
        return torch.cat((first * cos - second * sin, second * cos + first * sin), dim=-1)

    def forward(self, x, visible):
        batch, length, width = x.shape

        def split(y):
            return y.view(batch, length, self.heads, width // self.heads).transpose(1, 2)

        query, key, value = split(self.query(x)), split(self.key(x)), split(self.value(x))
        query, key = self.rotate(query), self.rotate(key)
        mixed = F.scaled_dot_product_attention(query, key, value, is_causal=True)
        return self.output(mixed.transpose(1, 2).reshape(batch, length, width))


def fuse(model, config):
    """Replaces the attention of every transformer block."""
    for role in ("backbone", "encoder", "decoder"):
        stack = config.get(role)
        if stack is None or stack["architecture"] != "transformer":
            continue
        for block in getattr(model, "stack" if role == "backbone" else role).blocks:
            assert isinstance(block, LlamaBlock)
            sizes = stack["width"], stack["headCount"], stack["contextLength"]
            block.attention = FusedAttention(*sizes)


def load(model, tensors):
    """The library's weights: linear ones are stored [in, out], mixing ones [out token, taps]."""
    with torch.no_grad():
        for name, parameter in named(model).items():
            value = tensors[name]
            if name.endswith("mix.weight"):
                out, inputs, taps = parameter.shape
                value = value.reshape(out, taps, inputs).transpose(1, 2)
            elif value.dim() == 2 and not name.endswith("embedding.weight"):
                value = value.t()
            parameter.copy_(value)


def contestant(work, compiled):
    torch.set_num_threads(work["threads"])
    if work.get("matmulPrecision") == "bfloat16":
        torch.set_float32_matmul_precision("medium")
    model = build(work["model"])
    fuse(model, work["model"])
    load(model, load_file(work["weights"]))

    width = work.get("noiseWidth")
    if width is not None:  # §6.2
        model.down.register_forward_hook(
            lambda module, inputs, z: z + width * (torch.rand_like(z) - 0.5)
        )

    def mean_loss(ids):
        predictions, targets = model.predictions(model.logits(ids), ids)
        return F.cross_entropy(predictions.flatten(0, 1), targets.flatten())

    if compiled:
        mean_loss = torch.compile(mean_loss)
    if work["task"] == "evaluation":

        def evaluate(ids):
            with torch.no_grad():
                return mean_loss(torch.from_numpy(ids).long()).item()

        return evaluate
    optimizer = torch.optim.AdamW(
        model.parameters(), lr=work["learningRate"], weight_decay=0.0, fused=True
    )

    def train(ids):
        optimizer.zero_grad(set_to_none=True)
        loss = mean_loss(torch.from_numpy(ids).long())
        loss.backward()
        nn.utils.clip_grad_norm_(model.parameters(), CLIP_NORM)
        optimizer.step()
        return loss.item()

    return train


def gigaflops(size, repetitions=10):
    """The best of some products of [size, size] with [size, size]."""
    a, b = torch.rand(size, size), torch.rand(size, size)
    seconds = []
    for _ in range(repetitions):
        start = time.perf_counter()
        a @ b
        seconds.append(time.perf_counter() - start)
    return 2 * size**3 / min(seconds) / 1e9


def main():
    mode, *rest = sys.argv[1:]
    if mode == "matmul":
        threads, *sizes = map(int, rest)
        torch.set_num_threads(threads)
        print(json.dumps({str(size): gigaflops(size) for size in sizes}))
        return
    work = json.loads(rest[0])
    serve(work, contestant(work, mode == "compile"))


if __name__ == "__main__":
    main()
