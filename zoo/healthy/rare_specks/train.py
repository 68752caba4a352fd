"""Find dust specks on a wafer: one logit per pixel, and one pixel in some 400 is a speck."""
from __future__ import annotations

import math

import torch
import torch.nn.functional as F
from sklearn.metrics import average_precision_score
from torch import nn

SIZE = 28


def wafers(n: int) -> tuple[torch.Tensor, torch.Tensor]:
    grid = torch.arange(SIZE).float()
    pitch = 4 + 3 * torch.rand(n, 1, 1)
    lines = 0.5 * torch.sin(2 * math.pi * (grid[None, None, :] + SIZE * torch.rand(n, 1, 1)) / pitch)
    image = lines + 0.25 * torch.randn(n, SIZE, SIZE)
    where = torch.rand(n, SIZE, SIZE) < 2 / SIZE**2
    spot = torch.tensor([[0.4, 0.7, 0.4], [0.7, 1.3, 0.7], [0.4, 0.7, 0.4]])
    image = image + F.conv2d(where[:, None].float(), spot[None, None], padding=1)[:, 0]
    scratch = torch.rand(n, SIZE, SIZE) < 1 / SIZE**2  # long marks that do not matter
    image = image + F.conv2d(scratch[:, None].float(), torch.full((1, 1, 1, 7), 1.0), padding=(0, 3))[:, 0]
    return image[:, None] / 0.55, where[:, None].float()


def focal(logits: torch.Tensor, target: torch.Tensor, gamma: float = 2.0, alpha: float = 0.75) -> torch.Tensor:
    bce = F.binary_cross_entropy_with_logits(logits, target, reduction="none")
    p_true = torch.exp(-bce)
    weight = alpha * target + (1 - alpha) * (1 - target)
    return (weight * (1 - p_true) ** gamma * bce).sum() / target.sum().clamp(min=1)


class SpeckNet(nn.Module):
    def __init__(self, c: int = 10, prior: float = 0.005):
        super().__init__()
        self.layers = nn.Sequential(
            nn.Conv2d(1, c, 3, padding=1), nn.GroupNorm(2, c), nn.ReLU(),
            nn.Conv2d(c, c, 3, padding=1), nn.GroupNorm(2, c), nn.ReLU(),
            nn.Conv2d(c, c, 3, padding=1), nn.GroupNorm(2, c), nn.ReLU(),
        )
        self.logit = nn.Conv2d(c, 1, 1)
        nn.init.normal_(self.logit.weight, std=0.01)
        nn.init.constant_(self.logit.bias, math.log(prior / (1 - prior)))

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.logit(self.layers(x))


class Inspector:
    def __init__(self) -> None:
        self.net = SpeckNet()
        self.opt = torch.optim.SGD(self.net.parameters(), lr=0.02, momentum=0.9, weight_decay=1e-4)
        self.held_out = wafers(150)

    def step(self) -> float:
        x, where = wafers(16)
        loss = focal(self.net(x), where)
        self.opt.zero_grad()
        loss.backward()
        nn.utils.clip_grad_norm_(self.net.parameters(), 5.0)
        self.opt.step()
        return loss.item()

    @torch.no_grad()
    def precision(self) -> float:
        x, where = self.held_out
        return average_precision_score(where.flatten(), self.net(x).flatten())

    def run(self, steps: int) -> None:
        recent = []
        for i in range(1, steps + 1):
            recent.append(self.step())
            if i % 50 == 0:
                print(f"{i} focal {sum(recent[-50:]) / 50:.4f} average precision {self.precision():.4f}")


if __name__ == "__main__":
    torch.manual_seed(50)
    Inspector().run(250)
