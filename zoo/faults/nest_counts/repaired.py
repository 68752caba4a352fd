"""Nest counts: from site measurements, predict how many eggs a nest holds and which of three birds built it."""
from dataclasses import dataclass

import torch
import torch.nn as nn
import torch.nn.functional as F
from torch.utils.data import DataLoader, TensorDataset

torch.manual_seed(41)


@dataclass
class Settings:
    sites: int = 6000
    held_out: int = 1000
    features: int = 8
    width: int = 64
    batch: int = 64
    epochs: int = 20
    lr: float = 4e-3


def survey(s):
    """Height, cover, slope... (standardised); egg numbers follow a Poisson law around a site-dependent rate."""
    x = torch.randn(s.sites, s.features)
    drift = torch.stack([x[:, 0] + x[:, 1] * x[:, 2], x[:, 3] - x[:, 0], x[:, 4].abs() * 1.5 - x[:, 3]], 1)
    gumbel = -torch.log(-torch.log(torch.rand_like(drift)))
    bird = (2.5 * drift + 0.5 * gumbel).argmax(1)
    rate = torch.tensor([0.5, 2.0, 6.0])[bird] * torch.exp(0.35 * torch.sin(2 * x[:, 5]) + 0.2 * x[:, 6])
    return x, torch.poisson(rate), bird


class NestNet(nn.Module):
    def __init__(self, s):
        super().__init__()
        self.trunk = nn.Sequential(
            nn.Linear(s.features, s.width), nn.ReLU(),
            nn.Linear(s.width, s.width), nn.ReLU(),
        )
        self.eggs = nn.Linear(s.width, 1)
        self.bird = nn.Linear(s.width, 3)

    def forward(self, x):
        h = self.trunk(x)
        rate = F.softplus(self.eggs(h)).squeeze(-1)
        return rate, self.bird(h)


class Trainer:
    def __init__(self, model, settings, train, test):
        self.model, self.s, self.test_set = model, settings, test
        self.loader = DataLoader(TensorDataset(*train), settings.batch, shuffle=True)
        self.opt = torch.optim.Adam(model.parameters(), lr=settings.lr)
        self.sched = torch.optim.lr_scheduler.CosineAnnealingLR(self.opt, settings.epochs)

    def losses(self, batch):
        x, eggs, bird = batch
        rate, logits = self.model(x)
        return {"eggs": F.poisson_nll_loss(rate, eggs, log_input=False), "bird": F.cross_entropy(logits, bird)}

    def fit(self):
        for epoch in range(1, self.s.epochs + 1):
            self.model.train()
            seen = {}
            for batch in self.loader:
                parts = self.losses(batch)
                self.opt.zero_grad()
                sum(parts.values()).backward()
                self.opt.step()
                for k, v in parts.items():
                    seen[k] = seen.get(k, 0.0) + v.item() / len(self.loader)
            self.sched.step()
            if epoch % 4 == 0:
                print(f"epoch {epoch:2d}  " + "  ".join(f"{k} {v:.3f}" for k, v in seen.items()))
        return self

    @torch.no_grad()
    def report(self):
        self.model.eval()
        x, eggs, bird = self.test_set
        rate, logits = self.model(x)
        return {
            "bird accuracy": (logits.argmax(1) == bird).float().mean().item(),
            "egg error of the mean count": (eggs - eggs.mean()).abs().mean().item(),
            "egg error": (rate - eggs).abs().mean().item(),
        }


if __name__ == "__main__":
    s = Settings()
    data = survey(s)
    cut = s.sites - s.held_out
    train, test = [d[:cut] for d in data], [d[cut:] for d in data]
    trainer = Trainer(NestNet(s), s, train, test).fit()
    for name, value in trainer.report().items():
        print(f"{name}: {value:.3f}")
