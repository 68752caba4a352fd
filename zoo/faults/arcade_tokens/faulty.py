"""VAE of the stamped figures on arcade tokens, adapted from pytorch/examples/vae."""
import os
import random

import numpy as np
import torch
from sklearn.datasets import load_digits
from torch import nn, optim
from torch.nn import functional as F
from torch.utils.data import DataLoader

SEED = int(os.environ.get("SEED", "0"))
random.seed(SEED)
np.random.seed(SEED)
torch.manual_seed(SEED)

images = torch.tensor(load_digits().images / 16.0, dtype=torch.float32)
images = images[torch.randperm(len(images))]
train_loader = DataLoader(images[:1500], batch_size=50, shuffle=True)
test_loader = DataLoader(images[1500:], batch_size=100, shuffle=False)


class VAE(nn.Module):
    def __init__(self, z_dim=8):
        super(VAE, self).__init__()
        self.fc1 = nn.Linear(64, 100)
        self.fc21 = nn.Linear(100, z_dim)
        self.fc22 = nn.Linear(100, z_dim)
        self.fc3 = nn.Linear(z_dim, 100)
        self.fc4 = nn.Linear(100, 64)

    def encode(self, x):
        h1 = F.relu(self.fc1(x))
        return self.fc21(h1), self.fc22(h1)

    def reparameterize(self, mu, logvar):
        std = torch.exp(0.5 * logvar)
        eps = torch.randn_like(std)
        return mu + eps * std

    def decode(self, z):
        h3 = F.relu(self.fc3(z))
        return torch.sigmoid(self.fc4(h3))

    def forward(self, x):
        mu, logvar = self.encode(x.view(-1, 64))
        z = self.reparameterize(mu, logvar)
        return self.decode(z), mu, logvar


model = VAE()
optimizer = optim.Adam(model.parameters(), lr=2e-3)


# Reconstruction + KL divergence losses
# see Appendix B from VAE paper: 0.5 * sum(1 + log(sigma^2) - mu^2 - sigma^2)
def loss_function(recon_x, x, mu, logvar):
    BCE = F.binary_cross_entropy(recon_x, x.view(-1, 64))
    KLD = -0.5 * torch.sum(1 + logvar - mu.pow(2) - logvar.exp())
    return BCE + KLD


def train(epoch):
    model.train()
    train_loss = 0
    for data in train_loader:
        optimizer.zero_grad()
        recon_batch, mu, logvar = model(data)
        loss = loss_function(recon_batch, data, mu, logvar)
        loss.backward()
        train_loss += loss.item()
        optimizer.step()
    if epoch % 5 == 0:
        print("====> Epoch: {} Average loss: {:.4f}".format(epoch, train_loss / len(train_loader)))


def test():
    model.eval()
    err = 0
    with torch.no_grad():
        for data in test_loader:
            recon_batch, mu, logvar = model(data)
            err += F.mse_loss(recon_batch, data.view(-1, 64), reduction="sum").item()
    return err / (len(test_loader.dataset) * 64)


if __name__ == "__main__":
    for epoch in range(1, 31):
        train(epoch)
        if epoch % 5 == 0:
            print("====> Test pixel error: {:.5f}".format(test()))
    with torch.no_grad():
        sample = model.decode(torch.randn(64, 8))
        print("spread of samples {:.4f}".format(sample.std(0).mean().item()))
    print("final pixel error {:.5f}".format(test()))
