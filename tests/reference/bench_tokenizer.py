"""Hugging Face's `tokenizers` in the benchmarks: byte-level BPE, trained, or encoding texts.

    python bench_tokenizer.py WORK            see bench_protocol.py

WORK has `task` ("train" or "encode"), `texts` (a JSON file of an array of them), `vocabSize`, and
`tokenizer` (a tokenizer.json to encode with). A step is all of it, with a tokenizer that has seen
nothing; the first one's "loss" is the CRC-32 of the merges, one a line, or of all ids as int32.
RAYON_NUM_THREADS=1 and TOKENIZERS_PARALLELISM=false in the environment make it one thread.
"""

import json
import pathlib
import sys
import time
import zlib

import numpy as np
from tokenizers import Tokenizer

from bench_protocol import answer
from tokenizer_golden import merges_of
from tokenizer_golden import train as train_tokenizer

# The library's default.
MIN_FREQUENCY = 2


def train(work, texts):
    start = time.perf_counter()
    tokenizer = train_tokenizer(texts, work["vocabSize"], MIN_FREQUENCY)
    seconds = time.perf_counter() - start
    return seconds, lambda: zlib.crc32("\n".join(merges_of(tokenizer)).encode())


def encode(work, texts):
    tokenizer = Tokenizer.from_file(work["tokenizer"])
    start = time.perf_counter()
    ids = [tokenizer.encode(text).ids for text in texts]
    seconds = time.perf_counter() - start

    def checksum():
        return zlib.crc32(np.concatenate([np.array(one, "<i4") for one in ids]).tobytes())

    return seconds, checksum


def main():
    work = json.loads(sys.argv[1])
    texts = json.loads(pathlib.Path(work["texts"]).read_text(encoding="utf-8"))
    run = {"train": train, "encode": encode}[work["task"]]
    checked = False

    def step():
        nonlocal checked
        seconds, checksum = run(work, texts)
        value = 0 if checked else checksum()
        checked = True
        return 1000 * seconds, value

    answer(step)


if __name__ == "__main__":
    main()
