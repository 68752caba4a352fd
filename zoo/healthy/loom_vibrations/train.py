# Four conditions of a loom by its vibration: one-dimensional dilated convolutions.
import math
import os

import torch
from torch import nn
from torch.nn.utils.parametrizations import weight_norm
from torch.utils.data import DataLoader, TensorDataset

torch.manual_seed(int(os.environ.get("SEED", "0")))

T = 160
t = torch.arange(T) / T


def wave(kind, n):
    phase = torch.rand(n, 1) * 2 * math.pi
    speed = 14 + 4 * torch.rand(n, 1)
    base = torch.sin(2 * math.pi * speed * t + phase)
    if kind == 1:                                # a broken tooth: one short tick per turn
        turn = torch.sin(2 * math.pi * speed / 4 * t + phase)
        base = base + 1.2 * (turn > 0.97).float()
    elif kind == 2:                              # a loose belt: slow change of strength
        base = base * (1 + 0.5 * torch.sin(2 * math.pi * 2 * t + torch.rand(n, 1) * 6))
    elif kind == 3:                              # dry bearing: an upper tone
        base = base + 0.5 * torch.sin(2 * math.pi * speed * 2.5 * t)
    return base + 0.5 * torch.randn(n, T)


def dataset(n):
    x = torch.cat([wave(k, n) for k in range(4)]).unsqueeze(1)
    y = torch.arange(4).repeat_interleave(n)
    return TensorDataset(x, y)


class Block(nn.Module):
    def __init__(self, c, dilation):
        super().__init__()
        self.conv = weight_norm(nn.Conv1d(c, 2 * c, 3, padding=dilation, dilation=dilation))
        self.mix = nn.Conv1d(c, c, 1)

    def forward(self, x):
        a, b = self.conv(x).chunk(2, 1)
        return x + self.mix(torch.tanh(a) * torch.sigmoid(b))


class Listener(nn.Module):
    def __init__(self, c=20):
        super().__init__()
        self.inp = nn.Conv1d(1, c, 7, stride=2, padding=3)
        self.blocks = nn.Sequential(*[Block(c, 2 ** i) for i in range(4)])
        self.out = nn.Linear(2 * c, 4)

    def forward(self, x):
        h = self.blocks(torch.relu(self.inp(x)))
        return self.out(torch.cat([h.mean(2), h.amax(2)], 1))


train_loader = DataLoader(dataset(500), batch_size=32, shuffle=True)
test_loader = DataLoader(dataset(200), batch_size=200)
model = Listener()
optimizer = torch.optim.AdamW(model.parameters(), lr=6e-3, weight_decay=1e-3)
epochs = 9
scheduler = torch.optim.lr_scheduler.OneCycleLR(optimizer, max_lr=6e-3, total_steps=epochs * len(train_loader))
for epoch in range(epochs):
    model.train()
    loss_sum = 0.0
    for x, y in train_loader:
        optimizer.zero_grad()
        loss = nn.functional.cross_entropy(model(x), y)
        loss.backward()
        optimizer.step()
        scheduler.step()
        loss_sum += loss.item()
    print(f"epoch {epoch} loss {loss_sum / len(train_loader):.3f}")

model.eval()
right = total = 0
with torch.inference_mode():
    for x, y in test_loader:
        right += (model(x).argmax(1) == y).sum().item()
        total += len(y)
print(f"test accuracy {right / total:.3f}")
