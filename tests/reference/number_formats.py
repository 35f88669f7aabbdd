"""Golden codes of floating-point formats, from the casts of ml_dtypes, numpy (fp16) and PyTorch.

Run (any machine, CPU, some seconds):

    pip install torch==2.15.0 ml_dtypes==0.6.0 numpy
    python tests/reference/number_formats.py       # writes tests/golden/qat/float_formats.json

What is written, by format
--------------------------
    torchOverflow   which mode's codes torch's cast gives, all of them: "special" (infinity or NaN
                    beyond the largest number), "saturate", or null where torch has no such type.
                    torch 2.15 saturates e4m3fn, infinities included, and no other format; both are
                    modes of the OCP 8-bit specification.
    largest         the largest finite number
    values          all codes' numbers in order, null for infinities and NaN; up to 8 bits
    valuesSha256    of all codes' numbers as float32
    sets            by name: count, and per overflow mode the SHA-256 of the codes of all inputs
    samples         by name: inputs spread over the set (as float32 words) and their codes per mode

Bytes are little-endian: float32, and 16 bits a code. Before hashing, every NaN is the word
0x7fc00000 or the code 0xffff. The saturating mode is the cast after clipping to the largest number.

Inputs
------
Random words come from the counter i = 0, 1, ... by the last step of MurmurHash3, 32 bits wide:
h ^= h >> 16; h *= 0x85ebca6b; h ^= h >> 13; h *= 0xc2b2ae35; h ^= h >> 16.

    patterns        a million float32 words: h(0), h(1), ...
    range           a million with the sign and mantissa of h(10^6 + i), and the exponent field
                    low + h(2 * 10^6 + i) % (high - low + 1): from two binades below the format's
                    smallest number to two above its largest, as far as float32 goes
    midpoints       halfway between each two neighbouring numbers of the format, and beyond the
                    largest, each after its two float32 neighbours: word - 1, word + 1, word; the
                    positive ones in order, then the same with the sign bit

e3m2 has no NaN; its sets are without those that `patterns` has.
"""

import argparse
import hashlib
import importlib.metadata
import pathlib
import warnings

import ml_dtypes
import numpy as np
import torch

from models_golden import write_json

GOLDEN = pathlib.Path(__file__).parent.parent / "golden" / "qat"
COUNT = 1_000_000
SAMPLES = 40
NAN_WORD, NAN_CODE = 0x7FC00000, 0xFFFF

# numpy type, torch type.
FORMATS = {
    "fp16": (np.float16, torch.float16),
    "bf16": (ml_dtypes.bfloat16, torch.bfloat16),
    "e4m3fn": (ml_dtypes.float8_e4m3fn, torch.float8_e4m3fn),
    "e5m2": (ml_dtypes.float8_e5m2, torch.float8_e5m2),
    "e3m2": (ml_dtypes.float6_e3m2fn, None),
}


def hashed(first):
    h = np.arange(first, first + COUNT, dtype=np.uint32)
    for shift, factor in ((16, 0x85EBCA6B), (13, 0xC2B2AE35), (16, 1)):
        h = (h ^ (h >> np.uint32(shift))) * np.uint32(factor)
    return h


def code_type(numpy_type):
    return np.uint16 if np.dtype(numpy_type).itemsize == 2 else np.uint8


def numbers_of(numpy_type, codes):
    return codes.astype(code_type(numpy_type)).view(numpy_type).astype(np.float32)


def codes_of(numpy_type, numbers):
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # overflow is meant
        cast = numbers.astype(numpy_type)
    codes = cast.view(code_type(numpy_type)).astype(np.uint16)
    codes[np.isnan(cast.astype(np.float32))] = NAN_CODE
    return codes


def torch_codes_of(torch_type, numbers):
    cast = torch.from_numpy(numbers).to(torch_type)
    words = cast.view(torch.uint8 if torch_type.itemsize == 1 else torch.int16)
    codes = words.numpy().astype(np.uint16)
    codes[torch.isnan(cast.float()).numpy()] = NAN_CODE
    return codes


def input_sets(numpy_type, positive):
    """float32 words by name; `positive` are the format's finite numbers from zero up."""
    patterns = hashed(0)
    exponents = np.frexp(positive[[1, -1]])[1] - 1 + 127
    low, high = max(int(exponents[0]) - 2, 0), min(int(exponents[1]) + 2, 254)
    fields = np.uint32(low) + hashed(2 * COUNT) % np.uint32(high - low + 1)
    ranged = (hashed(COUNT) & np.uint32(0x807FFFFF)) | (fields << np.uint32(23))
    numbers = positive.astype(np.float64)
    beyond = 2 * numbers[-1] - numbers[-2]
    midpoints = (numbers + np.append(numbers[1:], beyond)) / 2
    words = midpoints.astype(np.float32).view(np.uint32)
    assert (words.view(np.float32) == midpoints).all()
    halfway = (words[:, None] + np.array([-1, 1, 0]).astype(np.uint32)).ravel()
    sets = {
        "patterns": patterns,
        "range": ranged,
        "midpoints": np.concatenate([halfway, halfway | np.uint32(1 << 31)]),
    }
    if np.isnan(np.float32(np.nan).astype(numpy_type)):
        return sets
    return {name: words[~np.isnan(words.view(np.float32))] for name, words in sets.items()}


def sha256(array):
    return hashlib.sha256(np.ascontiguousarray(array).tobytes()).hexdigest()


def describe(name):
    numpy_type, torch_type = FORMATS[name]
    info = ml_dtypes.finfo(numpy_type)
    largest = np.float32(info.max)
    values = numbers_of(numpy_type, np.arange(1 << info.bits))
    half = values[: len(values) // 2]
    positive = half[np.isfinite(half)]
    sets, samples, matches = {}, {}, {"special", "saturate"}
    for key, words in input_sets(numpy_type, positive).items():
        numbers = words.view(np.float32)
        codes = {
            "special": codes_of(numpy_type, numbers),
            "saturate": codes_of(numpy_type, np.clip(numbers, -largest, largest)),
        }
        sets[key] = {"count": len(words)} | {mode: sha256(all) for mode, all in codes.items()}
        spread = np.linspace(0, len(words) - 1, SAMPLES).astype(int)
        samples[key] = {"words": words[spread].tolist()} | {
            mode: all[spread].tolist() for mode, all in codes.items()
        }
        if torch_type is not None:
            found = torch_codes_of(torch_type, numbers)
            matches &= {mode for mode, all in codes.items() if (found == all).all()}
    assert len(matches) == 1 or torch_type is None, f"{name}: torch's codes are of {matches}"
    words = values.view(np.uint32).copy()
    words[np.isnan(values)] = NAN_WORD
    few = info.bits <= 8
    return {
        "torchOverflow": matches.pop() if torch_type is not None else None,
        "largest": largest.item(),
        **({"values": [v.item() if np.isfinite(v) else None for v in values]} if few else {}),
        "valuesSha256": sha256(words),
        "sets": sets,
        "samples": samples,
    }


def main():
    parser = argparse.ArgumentParser(description="Writes golden codes of floating-point formats.")
    parser.add_argument("--out", type=pathlib.Path, default=GOLDEN)
    options = parser.parse_args()
    formats = {}
    for name in FORMATS:
        formats[name] = describe(name)
        print(f"{name}: torch's overflow {formats[name]['torchOverflow']}, {formats[name]['sets']}")
    golden = {
        "script": "tests/reference/number_formats.py",
        "torch": torch.__version__.split("+")[0],
        "ml_dtypes": importlib.metadata.version("ml_dtypes"),
        "numpy": np.__version__,
        "formats": formats,
    }
    options.out.mkdir(parents=True, exist_ok=True)
    write_json(options.out / "float_formats.json", golden)


if __name__ == "__main__":
    main()
