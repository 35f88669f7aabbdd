"""Golden values of integer formats, LLM.int8 and NF4: PyTorch in float64, and bitsandbytes.

Run (any machine, CPU, a few seconds):

    pip install torch==2.15.0 numpy bitsandbytes==0.50.2
    python tests/reference/integer_formats.py     # writes tests/golden/qat/integer_formats.json

Nothing of the library is used. Numbers are float32 numbers unless said.

What is written
---------------
    absmax      x [R][C], of which every code is at least MARGIN away from a tie, and a row of zeros
        cases       scaling, bits, codes [R][C], values [R][C] in float64: torch, in float64
        rowInt8     codes and scales [R] of bitsandbytes' int8_vectorwise_quant, values of its
                    int8_vectorwise_dequant
    ties        x [C] that are halves of the largest, K = 7, and their codes: torch.round
    outliers    LLM.int8, threshold 6
        x, columns  [R][C], and the outlier columns. Numbers below 6 in those are small, so that the
                    scales of the paper and of bitsandbytes agree
        codes       bitsandbytes' [R][C], 0 in outlier columns; scales [R]
        weight      W [C][O], exact in int8 with a scale a column: values, which both sides share
        product     x W in float64: int8 codes, int32 sums, times scales, plus the outlier columns
                    in fp16, times W
        bitsandbytes    the same by its int8_mixed_scaled_mm, in float32
        higher      x with a 5.5 in an outlier column, the largest below 6 of its row: the scale of
                    its row over the other columns (paper) and that of bitsandbytes
    nf4         x [N] whose first five blocks hold, times their largest, every boundary and its
                neighbours in float32; the sixth is zeros, the last one shorter
        levels      the 16 quantiles in float64, from QLoRA's formula with its code's constant
        codes, scales, values    bitsandbytes' quantize_4bit and dequantize_4bit
"""

import argparse
import pathlib

import bitsandbytes
import numpy
import torch
from bitsandbytes import functional

from models_golden import write_json

GOLDEN = pathlib.Path(__file__).parent.parent / "golden" / "qat"
# Nearer to a tie, float32 could round 16 bits to another code: K 2^-23 is 0.004.
MARGIN = 5e-3
THRESHOLD = 6.0
BLOCK = 64


def largest_code(bits):
    return 2 ** (bits - 1) - 1


def absmax_codes(x, bits, scaling):
    """Codes and values of float64 x, and how near the nearest tie is."""
    dims = {"tensor": (0, 1), "row": (1,), "channel": (0,)}[scaling]
    scale = x.abs().amax(dims, keepdim=True)
    scaled = x * largest_code(bits) / torch.where(scale > 0, scale, torch.ones_like(scale))
    margin = ((scaled - scaled.floor()) - 0.5).abs().min().item()
    codes = scaled.round()
    return codes, codes * scale / largest_code(bits), margin


def absmax_cases():
    generator = torch.Generator().manual_seed(1)
    spread = torch.tensor([0.01, 0.3, 1.0, 1.0, 2.0, 5.0, 40.0])
    kinds = [(bits, scaling) for bits in (2, 3, 4, 8, 16) for scaling in ("tensor", "row", "channel")]
    while True:
        x = torch.randn(6, len(spread), generator=generator) * spread
        x[4] = 0
        computed = [absmax_codes(x.double(), *case) for case in kinds]
        int8, scales, _ = functional.int8_vectorwise_quant(x.clone())
        if min(margin for _, _, margin in computed) > MARGIN:
            break
    int8[4] = 0  # 0 · (127 / 0) is NaN, whose int8 is nothing to go by
    assert torch.equal(int8.double(), computed[kinds.index((8, "row"))][0])
    return {
        "x": x.tolist(),
        "cases": [
            {
                "bits": bits,
                "scaling": scaling,
                "codes": codes.int().tolist(),
                "values": values.tolist(),
            }
            for (bits, scaling), (codes, values, _) in zip(kinds, computed)
        ],
        "rowInt8": {
            "codes": int8.tolist(),
            "scales": scales.tolist(),
            "values": functional.int8_vectorwise_dequant(int8, scales).tolist(),
        },
    }


def tie_cases():
    x = torch.arange(-14, 15) / 2.0
    return {"bits": 4, "x": x.tolist(), "codes": torch.round(x).int().tolist()}


def outlier_cases():
    generator = torch.Generator().manual_seed(2)
    columns = [2, 7]
    x = torch.randn(5, 10, generator=generator)
    x[:, columns] *= 0.1
    x[0, 2], x[3, 2], x[1, 7] = 7.03, -23.456, 6.0
    weight_codes = torch.randint(-127, 128, (10, 4), generator=generator, dtype=torch.int8)
    weight_codes[0] = 127  # every column's largest, so that they are exact
    weight_scales = torch.rand(4, generator=generator) + 0.5
    weight = weight_codes.double() * weight_scales.double() / 127

    codes, scales, found = functional.int8_vectorwise_quant(x.clone(), THRESHOLD)
    assert found.tolist() == columns
    rest = x.clone().double()
    rest[:, columns] = 0
    by_paper, _, margin = absmax_codes(rest, 8, "row")
    assert margin > MARGIN and torch.equal(by_paper, codes.double())

    sums = codes.int() @ weight_codes.int()
    product = sums.double() * scales.double()[:, None] * weight_scales.double() / 127**2
    product += x[:, columns].half().double() @ weight[columns]
    mixed, _ = torch.ops.bitsandbytes.int8_mixed_scaled_mm(
        x, codes, weight_codes.t().contiguous(), scales, weight_scales, found
    )
    deviation = (mixed.double() - product).abs().max().item()
    assert deviation < 1e-2, deviation  # it keeps outliers in the type of x, here float32

    higher = x.clone()
    higher[4, 7] = 5.5
    _, higher_scales, _ = functional.int8_vectorwise_quant(higher.clone(), THRESHOLD)
    assert higher_scales[4] == 5.5 and scales[4] < 5
    return {
        "threshold": THRESHOLD,
        "x": x.tolist(),
        "columns": columns,
        "codes": codes.tolist(),
        "scales": scales.tolist(),
        "weight": weight.tolist(),
        "product": product.tolist(),
        "bitsandbytes": mixed.tolist(),
        "higher": {
            "x": higher.tolist(),
            "row": 4,
            "paperScale": scales[4].item(),
            "bitsandbytesScale": higher_scales[4].item(),
        },
    }


def nf4_levels():
    """Quantiles, 8 from q to one half and 7 from one half to 1 - q, and 0, over the largest."""
    q = 0.9677083
    positive = torch.special.ndtri(torch.linspace(q, 0.5, 9, dtype=torch.float64)[:-1])
    negative = -torch.special.ndtri(torch.linspace(q, 0.5, 8, dtype=torch.float64)[:-1])
    levels = torch.cat([positive, negative, torch.zeros(1, dtype=torch.float64)]).sort().values
    return levels / levels.max()


def nf4_cases():
    generator = torch.Generator().manual_seed(3)
    table = functional.get_4bit_type("nf4", device="cpu")
    bounds = ((table[:-1] + table[1:]) / 2).numpy()
    blocks = torch.randn(7 * BLOCK + 11, generator=generator)
    for block, scale in enumerate(numpy.float32([1, 37.5, 0.7371, 2.9, 0.011])):
        ties = bounds * scale
        near = [numpy.nextafter(ties, limit) for limit in numpy.float32([-100, 100])]
        numbers = torch.from_numpy(numpy.concatenate([ties, *near]))
        blocks[block * BLOCK : (block + 1) * BLOCK] = 0
        blocks[block * BLOCK : block * BLOCK + len(numbers)] = numbers
        blocks[(block + 1) * BLOCK - 1] = float(scale * (-1) ** (block + 1))
    blocks[5 * BLOCK : 6 * BLOCK] = 0
    packed, state = functional.quantize_4bit(blocks, blocksize=BLOCK, quant_type="nf4")
    pairs = packed.flatten()
    codes = torch.stack([pairs >> 4, pairs & 15], 1).flatten()[: len(blocks)]
    values = functional.dequantize_4bit(packed, state).flatten()
    scales = state.absmax.repeat_interleave(BLOCK)[: len(blocks)]
    assert torch.equal(values, table[codes.long()] * scales)
    return {
        "blockSize": BLOCK,
        "levels": nf4_levels().tolist(),
        "x": blocks.tolist(),
        "codes": codes.tolist(),
        "scales": state.absmax.tolist(),
        "values": values.tolist(),
    }


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--out", type=pathlib.Path, default=GOLDEN)
    options = parser.parse_args()
    golden = {
        "script": "tests/reference/integer_formats.py",
        "torch": torch.__version__.split("+")[0],
        "bitsandbytes": bitsandbytes.__version__,
        "absmax": absmax_cases(),
        "ties": tie_cases(),
        "outliers": outlier_cases(),
        "nf4": nf4_cases(),
    }
    options.out.mkdir(parents=True, exist_ok=True)
    write_json(options.out / "integer_formats.json", golden)


if __name__ == "__main__":
    main()
