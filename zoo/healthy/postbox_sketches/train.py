"""Children drew numerals on cards and posted them; a VAE of the cards (8x8 scans).

Gaussian decoder whose one width is learned too, so the bound is a log-density and the loss is negative
most of the way.  The KL weight is annealed over the first third and every latent dimension gets `free`
nats for nothing, so the printed loss climbs while the annealing is on.
"""
import math
import os
from dataclasses import dataclass

import torch
import torch.nn.functional as F
from sklearn.datasets import load_digits
from torch import nn
from torch.utils.data import DataLoader, TensorDataset


@dataclass
class Cfg:
    seed: int = int(os.environ.get("SEED", "0"))
    latent: int = 12
    hidden: int = 160
    epochs: int = 60
    batch: int = 64
    lr: float = 2e-3
    anneal: float = 0.35
    free: float = 0.10


def load(cfg):
    d = load_digits()
    x = torch.tensor(d.images, dtype=torch.float32).flatten(1) / 16.0
    g = torch.Generator().manual_seed(cfg.seed)
    order = torch.randperm(len(x), generator=g)
    x = x[order]
    return x[:1400], x[1400:]


class CardVAE(nn.Module):
    def __init__(self, cfg):
        super().__init__()
        self.enc = nn.Sequential(nn.Linear(64, cfg.hidden), nn.GELU(), nn.Linear(cfg.hidden, cfg.hidden), nn.GELU())
        self.mu = nn.Linear(cfg.hidden, cfg.latent)
        self.logvar = nn.Linear(cfg.hidden, cfg.latent)
        nn.init.zeros_(self.logvar.weight)       # start every posterior at unit width
        nn.init.zeros_(self.logvar.bias)
        self.dec = nn.Sequential(nn.Linear(cfg.latent, cfg.hidden), nn.GELU(),
                                 nn.Linear(cfg.hidden, cfg.hidden), nn.GELU(), nn.Linear(cfg.hidden, 64))
        self.log_width = nn.Parameter(torch.tensor(-1.0))

    def forward(self, x):
        h = self.enc(x)
        mu, logvar = self.mu(h), self.logvar(h)
        z = mu + torch.randn_like(mu) * (0.5 * logvar).exp() if self.training else mu
        return self.dec(z).sigmoid(), mu, logvar


def terms(model, y, x, mu, logvar):
    w = model.log_width
    nll = (0.5 * ((x - y) / w.exp()) ** 2 + w + 0.5 * math.log(2 * math.pi)).sum(1).mean()
    kl = 0.5 * (mu.pow(2) + logvar.exp() - 1 - logvar)
    return nll, kl.mean(0)                        # kl per dimension


def main(cfg=Cfg()):
    torch.manual_seed(cfg.seed)
    train, test = load(cfg)
    model = CardVAE(cfg)
    nets = [p for name, p in model.named_parameters() if name != "log_width"]
    opt = torch.optim.AdamW([{"params": nets, "weight_decay": 1e-4},
                             {"params": [model.log_width], "weight_decay": 0.0, "lr": 1e-2}], lr=cfg.lr)
    loader = DataLoader(TensorDataset(train), cfg.batch, shuffle=True, drop_last=True)
    total = cfg.epochs * len(loader)
    sched = torch.optim.lr_scheduler.CosineAnnealingLR(opt, total)
    step = 0
    for epoch in range(cfg.epochs):
        model.train()
        seen = 0.0
        for (x,) in loader:
            beta = min(1.0, step / (cfg.anneal * total))
            y, mu, logvar = model(x)
            nll, kl = terms(model, y, x, mu, logvar)
            loss = nll + beta * kl.clamp(min=cfg.free).sum()
            opt.zero_grad()
            loss.backward()
            nn.utils.clip_grad_norm_(model.parameters(), 50.0)
            opt.step()
            sched.step()
            step += 1
            seen += loss.item()
        if epoch % 6 == 5:
            print(f"epoch {epoch + 1:2d} beta {beta:.2f} loss {seen / len(loader):.3f} "
                  f"active dims {(kl > 0.2).sum().item()} width {model.log_width.exp().item():.3f}")
    model.eval()
    with torch.no_grad():
        y, mu, logvar = model(test)
        nll, kl = terms(model, y, test, mu, logvar)
        err = F.mse_loss(y, test)
        base = F.mse_loss(train.mean(0).expand_as(test), test)
    print(f"test: nll {nll:.2f} kl {kl.sum():.2f}  variance explained {1 - err / base:.3f}")


if __name__ == "__main__":
    main()
