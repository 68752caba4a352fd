"""Regression of a smooth function of eight inputs with a plain deep network and weights drawn by hand."""

from dataclasses import dataclass
from itertools import pairwise

import torch
from torch import nn


@dataclass
class Settings:
    depth: int = 6
    width: int = 64
    steps: int = 140
    batch: int = 128
    lr: float = 0.01


class DeepRegressor(nn.Module):
    def __init__(self, inputs, settings):
        super().__init__()
        sizes = [inputs, *[settings.width] * settings.depth]
        self.hidden = nn.ModuleList(nn.Linear(a, b) for a, b in pairwise(sizes))
        self.out = nn.Linear(settings.width, 1)
        for layer in self.hidden:
            nn.init.normal_(layer.weight, std=0.01)
            nn.init.zeros_(layer.bias)

    def forward(self, x):
        for layer in self.hidden:
            x = torch.relu(layer(x))
        return self.out(x)


def target(x):
    return (torch.sin(x[:, :1] * 1.5) + x[:, 1:2] * x[:, 2:3] + 0.5 * x[:, 3:4]) / 1.3


def run(settings):
    torch.manual_seed(4)
    model = DeepRegressor(8, settings)
    optimizer = torch.optim.SGD(model.parameters(), lr=settings.lr, momentum=0.9)
    data = torch.randn(4000, 8)
    for step in range(settings.steps):
        x = data[torch.randint(0, len(data), (settings.batch,))]
        loss = nn.functional.mse_loss(model(x), target(x))
        optimizer.zero_grad(set_to_none=True)
        loss.backward()
        optimizer.step()
        if step % 20 == 0 or step == settings.steps - 1:
            print(f"step {step} mse {loss.item():.3f} output std {model(x).std().item():.2e}")


run(Settings())
