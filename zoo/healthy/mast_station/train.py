# Icing (yes/no), gust (m/s) and visibility (log km) from what a mast measures. Each task's weight is learned:
# exp(-s) of its own noise, plus s (Kendall, Gal & Cipolla 2018).
from types import SimpleNamespace

import torch
import torch.nn as nn
import torch.nn.functional as F


def measure(n, generator):
    draw = lambda *shape: torch.randn(*shape, generator=generator)  # noqa: E731
    temperature, humidity, wind = 4 + 6 * draw(n), (75 + 12 * draw(n)).clamp(max=100), (7 + 3 * draw(n)).clamp(min=0)
    pressure, turbulence = 1010 + 8 * draw(n), 0.15 * draw(n).exp()
    x = torch.stack([temperature, humidity, wind, pressure, turbulence], 1)
    icing = torch.sigmoid(-1.2 * (temperature - 1) + 0.15 * (humidity - 75) + 0.2 * (wind - 7))
    gust = wind * (1 + 1.5 * turbulence) + 0.5 * draw(n)
    visibility = 2.5 - 0.05 * (humidity - 75) - 0.02 * (1010 - pressure).clamp(min=0) + 0.6 * draw(n)
    return x, torch.bernoulli(icing, generator=generator), gust, visibility


class Station(nn.Module):
    tasks = ("icing", "gust", "visibility")

    def __init__(self, width=48):
        super().__init__()
        self.trunk = nn.Sequential(nn.Linear(5, width), nn.ELU(), nn.Linear(width, width), nn.ELU())
        self.heads = nn.ModuleDict({task: nn.Linear(width, 1) for task in self.tasks})
        self.log_noise = nn.ParameterDict({task: nn.Parameter(torch.zeros(())) for task in self.tasks})

    def forward(self, x):
        h = self.trunk(x)
        return SimpleNamespace(**{task: head(h).squeeze(-1) for task, head in self.heads.items()})

    def loss(self, out, icing, gust, visibility):
        errors = {
            "icing": F.binary_cross_entropy_with_logits(out.icing, icing),
            "gust": 0.5 * F.mse_loss(out.gust, gust),
            "visibility": 0.5 * F.mse_loss(out.visibility, visibility),
        }
        total = torch.zeros(())
        for task, error in errors.items():
            s = self.log_noise[task]
            total = total + torch.exp(-s) * error + (s if task == "icing" else 0.5 * s)
        return total


def standard(columns, stats=None):
    """Inputs and the two numbers get mean 0 and deviation 1; the yes/no stays."""
    x, icing, gust, visibility = columns
    stats = stats or [(c.mean(0), c.std(0)) for c in (x, gust, visibility)]
    x, gust, visibility = ((c - m) / s for c, (m, s) in zip((x, gust, visibility), stats))
    return (x, icing, gust, visibility), stats


def main():
    torch.manual_seed(82)
    generator = torch.Generator().manual_seed(82)
    train, stats = standard(measure(2400, generator))
    test, _ = standard(measure(800, generator), stats)
    model = Station()
    optimizer = torch.optim.Adam(
        [
            {"params": [*model.trunk.parameters(), *model.heads.parameters()], "lr": 3e-3},
            {"params": model.log_noise.parameters(), "lr": 1e-2},
        ]
    )
    for epoch in range(1, 13):
        for rows in torch.randperm(2400, generator=generator).split(80):
            x, *targets = (column[rows] for column in train)
            optimizer.zero_grad()
            loss = model.loss(model(x), *targets)
            loss.backward()
            optimizer.step()
        if epoch % 3 == 0:
            with torch.inference_mode():
                out = model(test[0])
                hit = ((out.icing > 0).float() == test[1]).float().mean()
                r2 = [1 - F.mse_loss(o, t) / t.var() for o, t in ((out.gust, test[2]), (out.visibility, test[3]))]
            noise = " ".join(f"{task} {s.item():+.2f}" for task, s in model.log_noise.items())
            print(f"epoch {epoch} loss {loss.item():.3f} icing {hit:.3f} gust R2 {r2[0]:.3f} visibility R2 {r2[1]:.3f} | {noise}")


main()
