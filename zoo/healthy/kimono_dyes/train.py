"""VAE for small dye patterns (the 8x8 digits stand in): KL weight raised slowly, free bits per dimension."""
import math
import os

import torch
from sklearn.datasets import load_digits
from sklearn.decomposition import PCA
from torch import nn

SEED = int(os.environ.get("SEED", "0"))
LATENT = 10
FREE_BITS = 0.05          # nats per dimension that cost nothing
WARMUP = 20
EPOCHS = 70


class VAE(nn.Module):
    def __init__(self):
        super().__init__()
        self.enc = nn.Sequential(nn.Linear(64, 200), nn.SiLU(), nn.Linear(200, 200), nn.SiLU(),
                                 nn.Linear(200, 2 * LATENT))
        self.dec = nn.Sequential(nn.Linear(LATENT, 200), nn.SiLU(), nn.Linear(200, 200), nn.SiLU(),
                                 nn.Linear(200, 64))
        self.log_sigma = nn.Parameter(torch.tensor(-0.5))

    def encode(self, x):
        mu, logvar = self.enc(x).chunk(2, dim=1)
        return mu, logvar.clamp(-8, 4)

    def forward(self, x):
        mu, logvar = self.encode(x)
        z = mu + torch.randn_like(mu) * (0.5 * logvar).exp()
        return self.dec(z), mu, logvar

    def terms(self, x):
        recon, mu, logvar = self(x)
        nll = 0.5 * ((x - recon) / self.log_sigma.exp()) ** 2 + self.log_sigma + 0.5 * math.log(2 * math.pi)
        kl = 0.5 * (mu ** 2 + logvar.exp() - 1 - logvar)
        return nll.sum(1).mean(), kl.mean(0)


def loss_fn(model, x, beta):
    nll, kl = model.terms(x)
    return nll + beta * kl.clamp(min=FREE_BITS).sum()


def main():
    torch.manual_seed(SEED)
    x = torch.tensor(load_digits().data / 16.0, dtype=torch.float32)
    x = x[torch.randperm(len(x))]
    train, test = x[:1400], x[1400:]
    model = VAE()
    opt = torch.optim.Adam(model.parameters(), lr=1.5e-3)
    sched = torch.optim.lr_scheduler.CosineAnnealingLR(opt, EPOCHS, eta_min=1e-5)
    for epoch in range(EPOCHS):
        beta = min(1.0, (epoch + 1) / WARMUP)
        model.train()
        total = 0.0
        for idx in torch.randperm(len(train)).split(50):
            loss = loss_fn(model, train[idx], beta)
            opt.zero_grad()
            loss.backward()
            opt.step()
            total += loss.item() * len(idx)
        sched.step()
        if epoch % 10 == 9:
            print(f"epoch {epoch + 1} beta {beta:.2f} loss {total / len(train):.2f} "
                  f"sigma {model.log_sigma.exp().item():.3f}")

    model.eval()
    with torch.no_grad():
        nll, kl = model.terms(test)
        mu, _ = model.encode(test)
        mse = ((model.dec(mu) - test) ** 2).mean().item()
    pca = PCA(LATENT).fit(train.numpy())
    back = pca.inverse_transform(pca.transform(test.numpy()))
    print(f"test elbo {-(nll + kl.sum()).item():.2f} nats, KL {kl.sum().item():.2f}, "
          f"dimensions in use {(kl > 0.1).sum().item()}")
    print(f"test reconstruction MSE {mse:.5f}  (PCA of the same size {((back - test.numpy()) ** 2).mean():.5f}, "
          f"variance {test.var(0).mean().item():.5f})")


main()
