"""Times PyTorch's training step of the models in models_golden.py, for tests/bench/training_bench.ts.

    python training_step.py '{"kind": "causal", "backbone": {…}}' BATCH STEPS

prints the milliseconds of each step (forward, backward, clipping, AdamW; eager, float32) as JSON.
Model configurations are the library's. Needs torch.
"""

import json
import sys
import time

import torch
from torch import nn

from models_golden import CLIP_NORM, LEARNING_RATE, build, input_sizes, losses

config = json.loads(sys.argv[1])
batch, steps = int(sys.argv[2]), int(sys.argv[3])
torch.manual_seed(0)
model = build(config)
for parameter in model.parameters():
    nn.init.normal_(parameter, 0.0, 0.02)
optimizer = torch.optim.AdamW(model.parameters(), lr=LEARNING_RATE, weight_decay=0.0)
vocab, length = input_sizes(config)
ids = torch.randint(2, vocab, (batch, length))
milliseconds = []
for _ in range(steps):
    start = time.perf_counter()
    optimizer.zero_grad(set_to_none=True)
    loss = losses(model, ids)[-1]
    loss.backward()
    nn.utils.clip_grad_norm_(model.parameters(), CLIP_NORM)
    optimizer.step()
    loss.item()
    milliseconds.append(1000 * (time.perf_counter() - start))
print(json.dumps(milliseconds))
