"""Labels exist for the old spectrometer only; the features must not show which instrument measured (DANN)."""
import math

import torch
import torch.nn.functional as F
from torch import Tensor, nn

CHANNELS = 40
axis = torch.linspace(0, 1, CHANNELS)


def spectra(n: int, instrument: str) -> tuple[Tensor, Tensor]:
    """Three ores differ in two peaks; each instrument has a baseline of its own."""
    ore = torch.randint(3, (n,))
    height = torch.tensor([[1.0, 0.3], [0.3, 1.0], [0.8, 0.8]])[ore] + 0.15 * torch.randn(n, 2)
    peaks = height[:, :1] * torch.exp(-(((axis - 0.3) / 0.04) ** 2)) + height[:, 1:] * torch.exp(-(((axis - 0.6) / 0.04) ** 2))
    if instrument == "old":
        background = 0.7 * torch.randn(n, 1) * (axis - 0.5) + 0.3
    else:
        background = (0.5 * torch.randn(n, 1) - 1.0) * (axis - 0.5) + 0.4 * torch.cos(3 * axis)
    return peaks + background + 0.1 * torch.randn(n, CHANNELS), ore


class Reverse(torch.autograd.Function):
    @staticmethod
    def forward(ctx, x: Tensor, strength: float) -> Tensor:
        ctx.strength = strength
        return x.view_as(x)

    @staticmethod
    def backward(ctx, grad: Tensor):
        return -ctx.strength * grad, None


class Adapted(nn.Module):
    def __init__(self, width: int = 48) -> None:
        super().__init__()
        self.features = nn.Sequential(nn.Linear(CHANNELS, 64), nn.ReLU(), nn.Linear(64, width), nn.ReLU())
        self.ore = nn.Linear(width, 3)
        self.instrument = nn.Sequential(nn.Linear(width, 32), nn.ReLU(), nn.Linear(32, 1))

    def forward(self, x: Tensor, strength: float = 0.0) -> tuple[Tensor, Tensor]:
        h = self.features(x)
        return self.ore(h), self.instrument(Reverse.apply(h, strength)).squeeze(1)


def run(adapt: bool, steps: int = 400, size: int = 64) -> float:
    torch.manual_seed(21)
    x_old, y_old = spectra(1200, "old")
    x_new, _ = spectra(1200, "new")
    x_test, y_test = spectra(600, "new")
    mean, std = x_old.mean(), x_old.std()
    x_old, x_new, x_test = ((x - mean) / std for x in (x_old, x_new, x_test))

    model = Adapted()
    optimizer = torch.optim.Adam(model.parameters(), lr=1e-3)
    side = torch.cat([torch.zeros(size), torch.ones(size)])
    for step in range(steps):
        progress = step / steps
        strength = 0.3 * math.tanh(5 * progress) if adapt else 0.0
        a, b = torch.randint(len(x_old), (size,)), torch.randint(len(x_new), (size,))
        ore, instrument = model(torch.cat([x_old[a], x_new[b]]), strength)
        ore_loss = F.cross_entropy(ore[:size], y_old[a])
        instrument_loss = F.binary_cross_entropy_with_logits(instrument, side)
        optimizer.zero_grad()
        (ore_loss + instrument_loss).backward()
        optimizer.step()
        if step % 100 == 99:
            with torch.no_grad():
                accuracy = (model(x_test)[0].argmax(1) == y_test).float().mean().item()
            print(f"step {step + 1} ore {ore_loss:.3f} instrument {instrument_loss:.3f} new instrument {accuracy:.3f}")
    return accuracy


plain, adapted = run(adapt=False), run(adapt=True)
print(f"accuracy on the new instrument: without adaptation {plain:.3f}, with {adapted:.3f}")
