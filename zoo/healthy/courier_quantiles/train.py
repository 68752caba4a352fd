"""How long will the parcel take? Five quantiles at once, with the pinball loss."""
from dataclasses import dataclass

import torch
from torch import nn
from torch.utils.data import DataLoader, TensorDataset

LEVELS = torch.tensor([0.05, 0.25, 0.5, 0.75, 0.95])


@dataclass
class Settings:
    parcels: int = 3200
    width: int = 128
    epochs: int = 12
    batch: int = 100
    lr: float = 2e-3
    seed: int = 77


def deliveries(n: int) -> tuple[torch.Tensor, torch.Tensor]:
    km = 1 + 29 * torch.rand(n)
    hour = 8 + 12 * torch.rand(n)
    stops = torch.randint(0, 15, (n,)).float()
    rain = (torch.rand(n) < 0.3).float()
    rush = torch.exp(-((hour - 17) ** 2) / 3)
    middle = 2.2 * km * (1 + 0.7 * rush) + 3.5 * stops + 6 * rain
    spread = 2 + 0.12 * km * (1 + 2 * rain) + 8 * rush
    noise = torch.distributions.Gumbel(0.0, 1.0).sample((n,))  # late more often than early
    x = torch.stack([(km - 16) / 8, (hour - 14) / 3.5, (stops - 7) / 4.3, rain], 1)
    return x, (middle + spread * noise).unsqueeze(1)


def pinball(quantiles: torch.Tensor, target: torch.Tensor) -> torch.Tensor:
    miss = target - quantiles  # N x 1 against N x 5
    return torch.maximum(LEVELS * miss, (LEVELS - 1) * miss).mean()


class QuantileNet(nn.Module):
    """The lowest quantile, then non-negative gaps, so that they never cross."""

    def __init__(self, width: int, centre: float, scale: float):
        super().__init__()
        self.body = nn.Sequential(
            nn.Linear(4, width), nn.SiLU(), nn.Linear(width, width), nn.SiLU(), nn.Linear(width, len(LEVELS))
        )
        self.centre, self.scale = centre, scale

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        low, gaps = self.body(x).split([1, len(LEVELS) - 1], dim=1)
        steps = torch.cat([low, nn.functional.softplus(gaps - 1)], dim=1)
        return self.centre + self.scale * steps.cumsum(1)


def main(s: Settings) -> None:
    torch.manual_seed(s.seed)
    x, y = deliveries(s.parcels)
    x_test, y_test = deliveries(1000)
    loader = DataLoader(TensorDataset(x, y), s.batch, shuffle=True)
    model = QuantileNet(s.width, y.mean().item(), y.std().item())
    opt = torch.optim.Adam(model.parameters(), lr=s.lr)
    plan = torch.optim.lr_scheduler.CosineAnnealingLR(opt, s.epochs * len(loader))
    constant = pinball(torch.quantile(y, LEVELS).expand(len(y_test), -1), y_test).item()
    for epoch in range(s.epochs):
        for xb, yb in loader:
            loss = pinball(model(xb), yb)
            opt.zero_grad()
            loss.backward()
            opt.step()
            plan.step()
        with torch.no_grad():
            q = model(x_test)
            inside = ((y_test > q[:, :1]) & (y_test < q[:, -1:])).float().mean().item()
            print(f"epoch {epoch + 1:2d} pinball {pinball(q, y_test).item():.3f} (constant {constant:.3f}) 90% interval holds {inside:.3f}")


if __name__ == "__main__":
    main(Settings())
