"""Two spirals and a deep, narrow network."""

import math

import torch
from torch import nn, optim


def spirals(count, generator):
    turn = torch.rand(count, generator=generator) * 2 * math.pi + 0.5
    label = torch.randint(0, 2, (count,), generator=generator)
    angle = turn + label * math.pi
    points = torch.stack([turn * torch.cos(angle), turn * torch.sin(angle)], 1) / 2.5
    return points + 0.1 * torch.randn(count, 2, generator=generator), label


def build(depth, width):
    blocks = [nn.Linear(2, width), nn.ReLU()]
    for _ in range(depth - 2):
        blocks += [nn.Linear(width, width), nn.ReLU()]
    return nn.Sequential(*blocks, nn.Linear(width, 2))


def train(model, steps, generator):
    optimizer = optim.SGD(model.parameters(), lr=0.1, momentum=0.9)
    for step in range(steps):
        x, y = spirals(128, generator)
        loss = nn.functional.cross_entropy(model(x), y)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        if step % 25 == 0:
            print(step, round(loss.item(), 4), f"{model[0].weight.grad.norm():.2e} {model[-1].weight.grad.norm():.2e}")
    return loss.item()


if __name__ == "__main__":
    torch.manual_seed(2)
    print("final", train(build(6, 64), 150, torch.Generator().manual_seed(2)))
