"""VAE for the number stickers on our gym lockers (8x8 grey scans)."""
import numpy as np
import torch
import torch.nn as nn
import torch.nn.functional as F
from sklearn.datasets import load_digits
from torch.utils.data import DataLoader, TensorDataset

torch.manual_seed(11)
np.random.seed(11)

LATENT = 10
EPOCHS = 40


def load_stickers():
    images = load_digits().data.astype("float32") / 16.0
    order = np.random.permutation(len(images))
    images = torch.from_numpy(images[order])
    return images[:1400], images[1400:]


class VAE(nn.Module):
    def __init__(self, n_pixels=64, hidden=128, latent=LATENT):
        super().__init__()
        self.enc = nn.Linear(n_pixels, hidden)
        self.mu = nn.Linear(hidden, latent)
        self.logvar = nn.Linear(hidden, latent)
        self.dec1 = nn.Linear(latent, hidden)
        self.dec2 = nn.Linear(hidden, n_pixels)

    def encode(self, x):
        h = F.relu(self.enc(x))
        return self.mu(h), self.logvar(h)

    def decode(self, z):
        return self.dec2(F.relu(self.dec1(z)))

    def forward(self, x):
        mu, logvar = self.encode(x)
        std = torch.exp(0.5 * logvar)
        z = mu + std * torch.randn_like(std)
        return self.decode(z), mu, logvar


def reconstruction(logits, x):
    return F.binary_cross_entropy_with_logits(logits, x, reduction="sum") / x.size(0)


def divergence(mu, logvar):
    return -0.5 * torch.sum(1 + logvar - mu.pow(2) - logvar.exp()) / mu.size(0)


def train_one_epoch(model, loader, optimizer):
    model.train()
    rec_sum, kl_sum, seen = 0.0, 0.0, 0
    for (x,) in loader:
        logits, mu, logvar = model(x)

        # reconstruction part
        optimizer.zero_grad()
        rec = reconstruction(logits, x)
        rec.backward(retain_graph=True)

        # latent part
        optimizer.zero_grad()
        kl = divergence(mu, logvar)
        kl.backward()

        optimizer.step()

        rec_sum += rec.item() * x.size(0)
        kl_sum += kl.item() * x.size(0)
        seen += x.size(0)
    return rec_sum / seen, kl_sum / seen


@torch.no_grad()
def test_error(model, images):
    model.eval()
    mu, _ = model.encode(images)
    pictures = torch.sigmoid(model.decode(mu))
    return F.mse_loss(pictures, images).item()


def main():
    train, test = load_stickers()
    loader = DataLoader(TensorDataset(train), batch_size=64, shuffle=True)
    model = VAE()
    optimizer = torch.optim.Adam(model.parameters(), lr=2e-3)

    for epoch in range(1, EPOCHS + 1):
        rec, kl = train_one_epoch(model, loader, optimizer)
        if epoch % 5 == 0:
            print("epoch %3d  reconstruction %.2f  kl %.2f" % (epoch, rec, kl))

    mean_picture = F.mse_loss(train.mean(0).expand_as(test), test).item()
    print("error of the mean picture: %.4f" % mean_picture)
    print("test pixel error: %.4f" % test_error(model, test))


if __name__ == "__main__":
    main()
