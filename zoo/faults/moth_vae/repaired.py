"""Variational autoencoder of small moth-like silhouettes (two mirrored wings)."""
import torch
import torch.nn.functional as F
from torch import nn

H = W = 16


def moths(n):
    ys, xs = torch.meshgrid(torch.linspace(-1, 1, H), torch.linspace(0, 1, W // 2), indexing="ij")
    span, height, tilt, lift = (torch.rand(4, n, 1, 1) * torch.tensor([0.5, 0.35, 1.2, 0.6]).view(4, 1, 1, 1)).unbind(0)
    dy = ys - (lift - 0.3) + (tilt - 0.6) * xs
    wing = ((xs / (0.4 + span)) ** 2 + (dy / (0.25 + height)) ** 2 < 1).float()
    return torch.cat([wing.flip(2), wing], 2).flatten(1)


class VAE(nn.Module):
    def __init__(self, z=4):
        super().__init__()
        self.enc = nn.Sequential(nn.Linear(H * W, 128), nn.ReLU(), nn.Linear(128, 2 * z))
        self.dec = nn.Sequential(nn.Linear(z, 128), nn.ReLU(), nn.Linear(128, H * W))

    def forward(self, x):
        mu, logvar = self.enc(x).chunk(2, dim=1)
        z = mu + torch.randn_like(mu) * torch.exp(0.5 * logvar)
        return self.dec(z), mu, logvar


def elbo_terms(x, logits, mu, logvar):
    rec = F.binary_cross_entropy_with_logits(logits, x, reduction="none").sum(1).mean()
    kl = 0.5 * (mu**2 + logvar.exp() - 1 - logvar).sum(1).mean()
    return rec, kl


def train(model, data, epochs=24, batch=64):
    opt = torch.optim.Adam(model.parameters(), lr=2e-3)
    scheduler = torch.optim.lr_scheduler.ExponentialLR(opt, gamma=0.92)
    for epoch in range(epochs):
        for rows in torch.randperm(len(data)).split(batch):
            x = data[rows]
            rec, kl = elbo_terms(x, *model(x))
            opt.zero_grad()
            (rec + kl).backward()
            opt.step()
        scheduler.step()
        yield epoch + 1, rec.item(), kl.item()


def main():
    torch.manual_seed(40)
    fit, held = moths(1600), moths(400)
    model = VAE()
    for epoch, rec, kl in train(model, fit):
        if epoch % 6 == 0:
            model.eval()
            with torch.no_grad():
                bound = sum(elbo_terms(held, *model(held)))
            model.train()
            print(f"epoch {epoch}: rec {rec:.2f} kl {kl:.2f} held-out bound {bound.item():.2f}")


if __name__ == "__main__":
    main()
