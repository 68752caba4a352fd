"""A tiny transformer that copies the class of the loudest token, with a linear warm-up."""

import math

import torch
from torch import nn

WARMUP = 20
STEPS = 120
LENGTH, WIDTH, CLASSES = 6, 32, 4


class Reader(nn.Module):
    def __init__(self):
        super().__init__()
        self.embed = nn.Linear(CLASSES + 1, WIDTH)
        self.place = nn.Parameter(torch.randn(1, LENGTH, WIDTH) * 0.02)
        layer = nn.TransformerEncoderLayer(WIDTH, 4, 64, dropout=0.0, batch_first=True, norm_first=True)
        self.body = nn.TransformerEncoder(layer, 2, enable_nested_tensor=False)
        self.head = nn.Linear(WIDTH, CLASSES)

    def forward(self, tokens):
        return self.head(self.body(self.embed(tokens) + self.place).mean(1))


def make_batch(size):
    kind = torch.randint(CLASSES, (size, LENGTH))
    loud = torch.randn(size, LENGTH)
    tokens = torch.cat([nn.functional.one_hot(kind, CLASSES).float(), loud[..., None]], -1)
    return tokens, kind.gather(1, loud.argmax(1, keepdim=True)).squeeze(1)


torch.manual_seed(5)
model = Reader()
optimizer = torch.optim.AdamW(model.parameters(), lr=3e-3)
schedule = torch.optim.lr_scheduler.LambdaLR(optimizer, lambda step: min(1.0, (step + 1) / WARMUP))
smooth = math.log(CLASSES)
for step in range(STEPS):
    tokens, label = make_batch(64)
    loss = nn.functional.cross_entropy(model(tokens), label)
    optimizer.zero_grad(set_to_none=True)
    loss.backward()
    optimizer.step()
    schedule.step()
    smooth += 0.1 * (loss.item() - smooth)
    if step % 20 == 19:
        print(f"step {step + 1} loss {smooth:.3f} lr {schedule.get_last_lr()[0]:.1e}")
