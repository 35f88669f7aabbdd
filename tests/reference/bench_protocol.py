"""The other side of tests/bench/_contestant.ts: what every peer does with the words it is sent.

A peer is started with its work as JSON, does one step and says so; then it runs as many steps as
each line of standard input asks for, and ends with the lines, or at {"end": true}. Work has

    model, batch     the library's configuration, and samples in a batch
    weights          a safetensors file under the library's names and layouts (see models_golden.py)
    batches          a file of int32 ids, [batches, batch, tokens], taken in order, over and over
    learningRate     constant
    threads          how many compute
    task             "training" or "evaluation"
    noiseWidth       of uniform noise on an EEM's embedding in training; left out for none
"""

import json
import sys
import time

import numpy as np


def input_sizes(config):
    """Vocabulary and tokens of a sample."""
    stack = config["backbone"] if "backbone" in config else config["encoder"]
    return stack["vocabSize"], stack["contextLength"]


def peak_bytes():
    """The most memory that this process has held; None where there is no /proc."""
    try:
        with open("/proc/self/status") as status:
            line = next(line for line in status if line.startswith("VmHWM"))
    except FileNotFoundError:
        return None
    return 1024 * int(line.split()[1])


def say(message):
    print(json.dumps(message), flush=True)


def serve(work, step):
    """`step(ids [B, N] int32)` does one step and returns its loss as a number."""
    _, length = input_sizes(work["model"])
    batches = np.fromfile(work["batches"], np.int32).reshape(-1, work["batch"], length)
    taken = 0

    def timed():
        nonlocal taken
        start = time.perf_counter()
        loss = step(batches[taken % len(batches)])
        taken += 1
        return 1000 * (time.perf_counter() - start), loss

    answer(timed)


def answer(step):
    """`step()` does one step and returns its milliseconds and its loss."""
    milliseconds, loss = step()
    say({"ready": True, "firstStepMs": milliseconds, "firstLoss": loss})
    for line in sys.stdin:
        request = json.loads(line)
        if request.get("end"):
            say({"peakBytes": peak_bytes()})
            return
        steps = [step() for _ in range(request["steps"])]
        say({"ms": [step[0] for step in steps], "losses": [step[1] for step in steps]})
