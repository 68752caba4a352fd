"""Which of four waveforms is it? A GRU reads noisy sequences."""

import math

import torch
import torch.nn as nn


def waves(per_class, length=24):
    t = torch.linspace(0, 4 * math.pi, length)
    shapes = [torch.sin(t), torch.sign(torch.sin(t)), torch.cos(2 * t), torch.sin(t) * torch.cos(t / 2)]
    series = [s + 0.4 * torch.randn(per_class, length) for s in shapes]
    labels = [torch.full((per_class,), k) for k in range(len(shapes))]
    return torch.cat(series).unsqueeze(-1), torch.cat(labels)


class Reader(nn.Module):
    def __init__(self, classes, width=24):
        super().__init__()
        self.rnn = nn.GRU(1, width, batch_first=True)
        self.out = nn.Linear(width, classes)

    def forward(self, x):
        states, _ = self.rnn(x)
        return self.out(states[:, -1])


def train(model, x, y, epochs, batch, lr):
    optimizer = torch.optim.Adam(model.parameters(), lr=lr)
    for epoch in range(epochs):
        order = torch.randperm(len(x))
        for start in range(0, len(x), batch):
            rows = order[start : start + batch]
            loss = nn.functional.cross_entropy(model(x[rows]), y[rows])
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
        print(f"epoch {epoch}: {loss.item():.3f}")


torch.manual_seed(5)
inputs, labels = waves(200)
model = Reader(4)
train(model, inputs, labels, epochs=6, batch=40, lr=5e-3)
with torch.no_grad():
    print("accuracy", (model(inputs).argmax(1) == labels).float().mean().item())
