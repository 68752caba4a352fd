"""Learn to regress: a transformer reads the points of an unknown curve and predicts further ones, without weight updates."""
from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor, nn


@dataclass(frozen=True)
class Settings:
    episodes: int = 24
    points: int = 20
    width: int = 48
    steps: int = 330
    lr: float = 3e-3
    seed: int = 88


def sample_curves(s: Settings, gen: torch.Generator | None = None) -> tuple[Tensor, Tensor]:
    """Each curve has a phase, a frequency and an offset of its own; all points of an episode lie on one curve."""
    a, f, p, c = torch.rand(4, s.episodes, 1, generator=gen)
    x = torch.rand(s.episodes, s.points, generator=gen) * 4 - 2
    y = (0.5 + a) * torch.sin((1 + f) * x + 6.28 * p) + 2 * c - 1
    return x, y + 0.05 * torch.randn(y.shape, generator=gen)


class InContext(nn.Module):
    def __init__(self, width: int):
        super().__init__()
        self.read_x = nn.Sequential(nn.Linear(1, width), nn.GELU(), nn.Linear(width, width))
        self.read_y = nn.Linear(1, width)
        layer = nn.TransformerEncoderLayer(width, 4, 96, dropout=0.0, activation="gelu")
        self.mixer = nn.TransformerEncoder(layer, 3, enable_nested_tensor=False)
        self.head = nn.Linear(width, 2)

    def forward(self, x: Tensor, y: Tensor, known: int) -> Tensor:
        """x, y: points x episodes. The y of the points after the first `known` are not read."""
        h = self.read_x(x[..., None])
        seen = torch.cat([self.read_y(y[:known, :, None]), h.new_zeros(len(x) - known, *h.shape[1:])])
        hidden = torch.zeros(len(x), len(x))
        hidden[:, known:] = float("-inf")
        return self.head(self.mixer(h + seen, mask=hidden))[known:]


def nll(out: Tensor, y: Tensor) -> Tensor:
    mean, log_sigma = out.unbind(-1)
    log_sigma = log_sigma.clamp(-4, 2)
    return (log_sigma + 0.5 * ((y - mean) / log_sigma.exp()) ** 2).mean()


def rmse_by_context(model: InContext, s: Settings) -> dict[int, float]:
    gen = torch.Generator().manual_seed(1)
    wide = Settings(episodes=200)
    result = {}
    with torch.no_grad():
        for known in (2, 6, 14):
            x, y = sample_curves(wide, gen)
            mean = model(x.T, y.T, known)[..., 0]
            result[known] = (mean - y.T[known:]).square().mean().sqrt().item()
    return result


def main(s: Settings = Settings()) -> None:
    torch.manual_seed(s.seed)
    model = InContext(s.width)
    opt = torch.optim.Adam(model.parameters(), lr=s.lr)
    sched = torch.optim.lr_scheduler.OneCycleLR(opt, s.lr, total_steps=s.steps, pct_start=0.15)
    for step in range(1, s.steps + 1):
        x, y = sample_curves(s)
        known = int(torch.randint(2, 16, ()))
        loss = nll(model(x.T, y.T, known), y.T[known:])
        opt.zero_grad()
        loss.backward()
        nn.utils.clip_grad_norm_(model.parameters(), 1.0)
        opt.step()
        sched.step()
        if step % 66 == 0:
            scores = "  ".join(f"{k} known: {v:.3f}" for k, v in rmse_by_context(model, s).items())
            print(f"step {step} nll {loss.item():+.3f}  rmse {scores}")


if __name__ == "__main__":
    main()
