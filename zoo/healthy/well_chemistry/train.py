"""Density of the chemistry of wells: six ions that depend on two hidden rocks. A coupling flow."""
import math
import os
import random

import numpy as np
import torch
import torch.nn as nn


class Coupling(nn.Module):
    def __init__(self, dim, width, flip):
        super().__init__()
        self.keep = dim // 2
        self.flip = flip
        self.net = nn.Sequential(nn.Linear(self.keep, width), nn.SiLU(), nn.Linear(width, width), nn.SiLU(),
                                 nn.Linear(width, 2 * (dim - self.keep)))
        nn.init.zeros_(self.net[-1].weight)
        nn.init.zeros_(self.net[-1].bias)

    def forward(self, x):
        if self.flip:
            x = x.flip(1)
        a, b = x[:, :self.keep], x[:, self.keep:]
        s, t = self.net(a).chunk(2, dim=1)
        s = 2.5 * torch.tanh(s / 2.5)
        z = torch.cat([a, (b - t) * s.exp()], dim=1)
        return z, s.sum(1)


class Flow(nn.Module):
    def __init__(self, dim=6, layers=6, width=48):
        super().__init__()
        self.layers = nn.ModuleList([Coupling(dim, width, i % 2 == 1) for i in range(layers)])
        self.dim = dim

    def log_prob(self, x):
        logdet = torch.zeros(len(x))
        for layer in self.layers:
            x, ld = layer(x)
            logdet = logdet + ld
        return logdet - 0.5 * (x ** 2).sum(1) - 0.5 * self.dim * math.log(2 * math.pi)


def sample_wells(n, rng):
    a, b = rng.normal(size=(2, n))
    ions = np.stack([a, b, a * b, np.sin(2 * a), a ** 2 - b, np.cos(b) + a], axis=1)
    return ions + 0.04 * rng.normal(size=ions.shape)


def main():
    seed = int(os.environ.get("SEED", "0"))
    random.seed(seed)
    np.random.seed(seed)
    torch.manual_seed(seed)
    rng = np.random.default_rng(seed)
    train, test = sample_wells(5000, rng), sample_wells(1000, rng)
    mean, std = train.mean(0), train.std(0)
    train = torch.tensor((train - mean) / std, dtype=torch.float32)
    test = torch.tensor((test - mean) / std, dtype=torch.float32)

    gauss = torch.distributions.MultivariateNormal(train.mean(0), torch.cov(train.t()))
    baseline = gauss.log_prob(test).mean().item()

    flow = Flow()
    optimizer = torch.optim.Adam(flow.parameters(), lr=3e-3)
    epochs = 24
    scheduler = torch.optim.lr_scheduler.CosineAnnealingLR(optimizer, epochs)
    for epoch in range(epochs):
        flow.train()
        losses = []
        for idx in torch.randperm(len(train)).split(125):
            loss = -flow.log_prob(train[idx]).mean()
            optimizer.zero_grad()
            loss.backward()
            nn.utils.clip_grad_norm_(flow.parameters(), 5.0)
            optimizer.step()
            losses.append(loss.item())
        scheduler.step()
        if epoch % 4 == 3:
            flow.eval()
            with torch.no_grad():
                print(f"epoch {epoch + 1} loss {np.mean(losses):.4f} test loglik {flow.log_prob(test).mean():.4f}")
    with torch.no_grad():
        final = flow.log_prob(test).mean().item()
    print(f"log likelihood over the Gaussian's {final - baseline:.4f}")


if __name__ == "__main__":
    main()
