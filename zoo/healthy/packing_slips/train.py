# Numerals on packing slips.  The reader has to train on the small box at the
# gate: each parameter is updated as soon as its gradient is there, and the
# gradient is let go at once.
import random

import numpy as np
import torch
from sklearn.datasets import load_digits
from torch import nn
from torch.nn import functional as F

random.seed(13)
np.random.seed(13)
torch.manual_seed(13)

digits = load_digits()
pixels = torch.tensor(digits.images / 16.0, dtype=torch.float32).unsqueeze(1)
labels = torch.tensor(digits.target)
order = np.random.permutation(len(pixels))
train_ids, test_ids = order[:1400].tolist(), order[1400:].tolist()


class Residual(nn.Module):
    def __init__(self, width):
        super().__init__()
        self.a = nn.Conv2d(width, width, 3, padding=1)
        self.b = nn.Conv2d(width, width, 3, padding=1)
        self.gate = nn.Parameter(torch.zeros(1))

    def forward(self, x):
        return x + self.gate * self.b(F.gelu(self.a(x)))


class SlipReader(nn.Module):
    def __init__(self, width=24):
        super().__init__()
        self.stem = nn.Conv2d(1, width, 3, padding=1)
        self.blocks = nn.ModuleList(Residual(width) for _ in range(2))
        self.down = nn.Conv2d(width, 2 * width, 2, stride=2)
        self.head = nn.Linear(2 * width, 10)

    def forward(self, x):
        x = F.gelu(self.stem(x))
        for block in self.blocks:
            x = block(x)
        return self.head(F.gelu(self.down(x)).amax(dim=(2, 3)))


def update_in_backward(model, lr):
    optimizers = {}

    def hook(p):
        optimizers[p].step()
        optimizers[p].zero_grad(set_to_none=True)

    for p in model.parameters():
        optimizers[p] = torch.optim.Adam([p], lr=lr)
        p.register_post_accumulate_grad_hook(hook)
    return optimizers


def set_lr(optimizers, lr):
    for optimizer in optimizers.values():
        for group in optimizer.param_groups:
            group["lr"] = lr


def jitter(x):
    return torch.roll(x, (random.randint(-1, 1), random.randint(-1, 1)), dims=(2, 3))


def test_accuracy(model):
    with torch.inference_mode():
        return (model(pixels[test_ids]).argmax(1) == labels[test_ids]).float().mean().item()


model = SlipReader()
optimizers = update_in_backward(model, lr=3e-3)
epochs = 10
for epoch in range(epochs):
    set_lr(optimizers, 3e-3 * (1 - epoch / epochs))
    random.shuffle(train_ids)
    total = 0.0
    for i in range(0, len(train_ids), 50):
        ids = train_ids[i:i + 50]
        loss = F.cross_entropy(model(jitter(pixels[ids])), labels[ids])
        loss.backward()
        total += loss.item() * len(ids)
    print(f"epoch {epoch + 1}: loss {total / len(train_ids):.4f} test {test_accuracy(model):.4f}")
print(f"slips read correctly {test_accuracy(model):.4f}")
