"""Electric load of the next twelve hours, with an 80 % band."""
import math

import torch
import torch.nn.functional as F
from torch import Tensor, nn

LEVELS = torch.tensor([0.1, 0.5, 0.9])
PAST, AHEAD = 48, 12


def hourly_load(hours: int, gen: torch.Generator) -> Tensor:
    t = torch.arange(hours)
    day = torch.sin(2 * math.pi * t / 24) + 0.4 * torch.sin(4 * math.pi * t / 24 + 1)
    week = 0.5 * ((t // 24) % 7 < 5).float()
    shock = torch.randn(hours, generator=gen) * (0.12 + 0.3 * ((t % 24) > 15).float())
    shock = shock + (torch.rand(hours, generator=gen) < 0.02).float() * 1.5  # now and then a furnace is started
    rest = torch.zeros(hours)
    for i in range(1, hours):
        rest[i] = 0.85 * rest[i - 1] + shock[i]
    return 5 + day + week + rest


def windows(load: Tensor) -> tuple[Tensor, Tensor]:
    cut = load.unfold(0, PAST + AHEAD, 1)
    return cut[:, :PAST], cut[:, PAST:]


class Bands(nn.Module):
    """The lowest quantile and the positive distances between neighbours, relative to the last hour."""

    def __init__(self, mean: float, std: float):
        super().__init__()
        self.mean, self.std = mean, std
        self.body = nn.Sequential(nn.Linear(PAST, 64), nn.GELU(), nn.Linear(64, 64), nn.GELU())
        self.out = nn.Linear(64, AHEAD * len(LEVELS))

    def forward(self, past: Tensor) -> Tensor:
        z = (past - self.mean) / self.std
        lowest, *gaps = self.out(self.body(z)).view(-1, AHEAD, len(LEVELS)).unbind(-1)
        q = torch.stack([lowest, *map(F.softplus, gaps)], dim=-1).cumsum(-1)
        return (q + z[:, -1, None, None]) * self.std + self.mean


def pinball(q: Tensor, y: Tensor) -> Tensor:
    over = y.unsqueeze(-1) - q
    return torch.maximum(LEVELS * over, (LEVELS - 1) * over).mean()


def main() -> None:
    torch.manual_seed(63)
    load = hourly_load(24 * 130, torch.Generator().manual_seed(64))
    past, future = windows(load[: 24 * 100])
    past_test, future_test = windows(load[24 * 100 :])
    model = Bands(past.mean().item(), past.std().item())
    opt = torch.optim.Adam(model.parameters(), lr=1e-3)
    schedule = torch.optim.lr_scheduler.OneCycleLR(opt, max_lr=4e-3, total_steps=400)
    for step in range(1, 401):
        rows = torch.randint(len(past), (64,))
        loss = pinball(model(past[rows]), future[rows])
        opt.zero_grad()
        loss.backward()
        opt.step()
        schedule.step()
        if step % 100 == 0:
            with torch.no_grad():
                q = model(past_test)
            inside = ((future_test >= q[..., 0]) & (future_test <= q[..., 2])).float().mean()
            naive = pinball(past_test[:, 24 + torch.arange(AHEAD), None].expand_as(q), future_test)
            print(
                f"step {step} pinball {loss.item():.4f} test {pinball(q, future_test).item():.4f} "
                f"(same hour yesterday {naive.item():.4f}) inside {inside.item():.3f}"
            )


if __name__ == "__main__":
    main()
