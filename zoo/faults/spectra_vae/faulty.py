import math

import numpy as np
import torch
import torch.nn as nn


def spectra(n, rng):
    """Two lines on a baseline, 40 channels."""
    ch = np.arange(40)
    pos1, pos2 = rng.uniform(6, 16, (n, 1)), rng.uniform(22, 34, (n, 1))
    amp = rng.gamma(4.0, 0.25, (n, 2))
    slope = 0.3 * rng.randn(n, 1)
    y = amp[:, :1] * np.exp(-((ch - pos1) ** 2) / 8) + amp[:, 1:] * np.exp(-((ch - pos2) ** 2) / 18)
    y = y + slope * (ch - 20) / 20 + 0.05 * rng.randn(n, 40)
    return torch.tensor(y, dtype=torch.float32)


class SpectrumVAE(nn.Module):
    def __init__(self, latent=6, width=96):
        super().__init__()
        self.enc = nn.Sequential(nn.Linear(40, width), nn.GELU(), nn.Linear(width, width), nn.GELU())
        self.mu, self.logvar = nn.Linear(width, latent), nn.Linear(width, latent)
        self.dec = nn.Sequential(nn.Linear(latent, width), nn.GELU(), nn.Linear(width, width), nn.GELU(), nn.Linear(width, 40))
        self.log_sigma = nn.Parameter(torch.tensor(-0.5))

    def negative_elbo(self, x):
        h = self.enc(x)
        mu, logvar = self.mu(h), self.logvar(h)
        z = mu + torch.exp(0.5 * logvar) * torch.randn_like(mu)
        nll = 0.5 * ((x - self.dec(z)) / self.log_sigma.exp()) ** 2 + self.log_sigma + 0.5 * math.log(2 * math.pi)
        kl = 0.5 * (mu**2 + logvar.exp() - 1 - logvar)
        return nll.sum(1).mean() + kl.sum(1).mean()


def warm_then_cosine(top, warm, total):
    def rate(step):
        if step < warm:
            return top * (step + 1) / warm
        return top * 0.5 * (1 + math.cos(math.pi * (step - warm) / (total - warm)))

    return rate


def train(peak=4e-3, epochs=25, batch=64):
    rng = np.random.RandomState(0)
    x, held_out = spectra(1536, rng), spectra(400, rng)
    centre, spread = x.mean(0), x.std(0)
    x, held_out = (x - centre) / spread, (held_out - centre) / spread
    vae = SpectrumVAE()
    opt = torch.optim.Adam(vae.parameters(), lr=peak)
    steps = epochs * (len(x) // batch)
    sched = torch.optim.lr_scheduler.LambdaLR(opt, warm_then_cosine(peak, 50, steps))
    for epoch in range(epochs):
        for rows in torch.randperm(len(x)).view(-1, batch):
            loss = vae.negative_elbo(x[rows])
            opt.zero_grad()
            loss.backward()
            nn.utils.clip_grad_norm_(vae.parameters(), 50.0)
            opt.step()
            sched.step()
        if (epoch + 1) % 5 == 0:
            with torch.no_grad():
                bound = vae.negative_elbo(held_out)
            print(f"epoch {epoch + 1} batch {loss:.2f} held-out bound {bound:.2f} nats")


if __name__ == "__main__":
    torch.manual_seed(14)
    train()
