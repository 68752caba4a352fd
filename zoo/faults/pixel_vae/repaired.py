import torch
import torch.nn as nn
import torch.nn.functional as F
from sklearn.datasets import load_digits


class VAE(nn.Module):
    def __init__(self, latent=8):
        super().__init__()
        self.enc = nn.Sequential(nn.LayerNorm(64), nn.Linear(64, 96), nn.ReLU())
        self.mu = nn.Linear(96, latent)
        self.logvar = nn.Linear(96, latent)
        self.dec = nn.Sequential(nn.Linear(latent, 96), nn.ReLU(), nn.Linear(96, 64))

    def forward(self, x):
        h = self.enc(x)
        mu, logvar = self.mu(h), self.logvar(h)
        z = mu + torch.randn_like(mu) * torch.exp(0.5 * logvar)
        return self.dec(z), mu, logvar


def elbo(recon, x, mu, logvar):
    rec = F.binary_cross_entropy_with_logits(recon, x, reduction="sum")
    kl = -0.5 * torch.sum(1 + logvar - mu.pow(2) - logvar.exp())
    return (rec + kl) / len(x)


def data():
    pix = torch.tensor(load_digits().data, dtype=torch.float32)
    pix = pix.clamp(0, 16) / 16
    gen = torch.Generator().manual_seed(12)
    pix = pix[torch.randperm(len(pix), generator=gen)]
    return pix[:1500], pix[1500:]


def main():
    torch.manual_seed(12)
    train, test = data()
    vae = VAE()
    opt = torch.optim.Adam(vae.parameters(), lr=1e-3)
    for epoch in range(30):
        vae.train()
        tot = 0.0
        for idx in torch.randperm(len(train)).split(50):
            x = train[idx]
            opt.zero_grad()
            recon, mu, logvar = vae(x)
            loss = elbo(recon, x, mu, logvar)
            loss.backward()
            opt.step()
            tot += loss.item() * len(x)
        vae.eval()
        with torch.no_grad():
            recon, mu, logvar = vae(test)
            val = elbo(recon, test, mu, logvar).item()
            err = (recon.sigmoid() - test).abs().mean().item() / test.max().item()
        if epoch % 3 == 2:
            print(f"epoch {epoch + 1} elbo {tot / len(train):.3f} val {val:.3f} rel pixel err {err:.4f}")


main()
