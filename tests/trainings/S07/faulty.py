"""Learn a smooth function of two variables from samples."""

import math

import torch
import torch.nn as nn
import torch.nn.functional as F

torch.manual_seed(4)


def function(points):
    return torch.sin(2 * points[:, :1]) + 0.5 * points[:, 1:] ** 2


def build(width):
    layers = [nn.Linear(2, width), nn.Tanh(), nn.Linear(width, width), nn.Tanh(), nn.Linear(width, 1)]
    return nn.Sequential(*layers)


def train(model, steps=150, lr=1.0):
    optimizer = torch.optim.RMSprop(model.parameters(), lr=lr)
    history = []
    for _ in range(steps):
        points = torch.randn(64, 2)
        values = function(points) + 0.05 * torch.randn(64, 1)
        loss = F.mse_loss(model(points), values)
        optimizer.zero_grad(set_to_none=True)
        loss.backward()
        optimizer.step()
        history.append(loss.item())
    return history


model = build(32)
history = train(model)
test = torch.randn(1000, 2)
with torch.no_grad():
    error = F.mse_loss(model(test), function(test)).item()
tail = sum(history[-40:]) / 40
print(f"training {tail:.3f}, test {error:.3f}, a constant would reach {function(test).var().item():.3f}")
assert math.isfinite(error)
