"""Times the reference's pad-shift procedure (§4.3) in PyTorch, for tests/bench/pad_shift_bench.ts.

    python pad_shift_seconds.py '{"kind": "augmented", …}' WINDOWS BATCH

prints the seconds of 2N forwards a window (eager, float32), BATCH shifted rows at a time. Model
configurations are the library's. Needs torch.
"""

import json
import sys
import time

import torch
from torch import nn

from entropy_golden import shifted, summed_loss
from models_golden import PAD, build, input_sizes

config = json.loads(sys.argv[1])
windows, batch = int(sys.argv[2]), int(sys.argv[3])
torch.manual_seed(0)
model = build(config)
for parameter in model.parameters():
    nn.init.normal_(parameter, 0.0, 0.02)
vocab, length = input_sizes(config)
ids = torch.randint(PAD + 1, vocab, (windows, length))


def procedure():
    terms = [shifted(ids, shift) for i in range(length) for shift in (i, i + 1)]
    rows = torch.cat(terms)
    sums = torch.cat([summed_loss(model, part, True) for part in rows.split(batch)])
    return -sums.reshape(length, 2, windows).diff(dim=1)


with torch.no_grad():
    summed_loss(model, ids[:batch], True)
    start = time.perf_counter()
    procedure().sum().item()
    print(json.dumps(time.perf_counter() - start))
