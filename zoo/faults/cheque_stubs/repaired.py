"""Variational autoencoder for the numbers written on cheque stubs (8x8 scans)."""
import argparse
import os
import random

import numpy as np
import torch
import torch.nn.functional as F
from sklearn.datasets import load_digits
from torch import nn
from torch.distributions import Normal
from torch.utils.data import DataLoader, TensorDataset


def set_seed(seed: int) -> None:
    random.seed(seed)
    np.random.seed(seed)
    torch.manual_seed(seed)


class Encoder(nn.Module):
    def __init__(self, hidden: int, latent: int):
        super().__init__()
        self.body = nn.Sequential(nn.Linear(64, hidden), nn.SiLU(), nn.Linear(hidden, hidden), nn.SiLU())
        self.mu = nn.Linear(hidden, latent)
        self.log_std = nn.Linear(hidden, latent)

    def forward(self, x) -> Normal:
        h = self.body(x)
        return Normal(self.mu(h), self.log_std(h).clamp(-5, 3).exp())


class Decoder(nn.Module):
    def __init__(self, hidden: int, latent: int):
        super().__init__()
        self.body = nn.Sequential(nn.Linear(latent, hidden), nn.SiLU(), nn.Linear(hidden, hidden), nn.SiLU())
        self.out = nn.Linear(hidden, 64)

    def forward(self, z):
        return self.out(self.body(z))


class VAE(nn.Module):
    def __init__(self, hidden: int, latent: int):
        super().__init__()
        self.encoder = Encoder(hidden, latent)
        self.decoder = Decoder(hidden, latent)
        self.register_buffer("zero", torch.zeros(latent))
        self.register_buffer("one", torch.ones(latent))

    def forward(self, x):
        posterior = self.encoder(x)
        z = posterior.rsample()
        logits = self.decoder(z)
        rec = F.binary_cross_entropy_with_logits(logits, x, reduction="none").sum(-1)
        kl = torch.distributions.kl_divergence(posterior, Normal(self.zero, self.one)).sum(-1)
        return rec, kl

    @torch.no_grad()
    def reconstruct(self, x):
        return torch.sigmoid(self.decoder(self.encoder(x).mean))

    @torch.no_grad()
    def generate(self, n: int):
        return torch.sigmoid(self.decoder(torch.randn(n, self.zero.numel())))


def show(img) -> None:
    ramp = " .:-=+*#"
    for row in img.view(8, 8):
        print("   " + "".join(ramp[min(7, int(v * 8))] for v in row))


def main(args) -> None:
    set_seed(args.seed)
    x = torch.tensor(load_digits().data / 16.0, dtype=torch.float32)
    x = x[torch.randperm(len(x))]
    train, test = x[:1440], x[1440:]
    loader = DataLoader(TensorDataset(train), batch_size=args.batch, shuffle=True)

    model = VAE(args.hidden, args.latent)
    opt = torch.optim.Adam(model.parameters(), lr=args.lr)
    sched = torch.optim.lr_scheduler.CosineAnnealingLR(opt, args.epochs)

    for epoch in range(1, args.epochs + 1):
        model.train()
        recs, kls = [], []
        beta = min(1.0, epoch / args.warmup)
        for (xb,) in loader:
            rec, kl = model(xb)
            loss = (rec + beta * kl).mean()
            opt.zero_grad()
            loss.backward()
            nn.utils.clip_grad_norm_(model.parameters(), 10.0)
            opt.step()
            recs.append(rec.mean().item())
            kls.append(kl.mean().item())
        sched.step()
        if epoch % 8 == 0 or epoch == 1:
            print(f"[{epoch:3d}/{args.epochs}] rec {np.mean(recs):.3f}  kl {np.mean(kls):.3f}  beta {beta:.2f}")

    model.eval()
    show(model.generate(1)[0])
    err = ((model.reconstruct(test) - test) ** 2).sum(-1).mean().item()
    print(f"reconstruction error {err:.4f}")


if __name__ == "__main__":
    ap = argparse.ArgumentParser()
    ap.add_argument("--seed", type=int, default=int(os.environ.get("SEED", "0")))
    ap.add_argument("--epochs", type=int, default=30)
    ap.add_argument("--warmup", type=int, default=5)
    ap.add_argument("--batch", type=int, default=64)
    ap.add_argument("--hidden", type=int, default=128)
    ap.add_argument("--latent", type=int, default=8)
    ap.add_argument("--lr", type=float, default=2e-3)
    main(ap.parse_args())
