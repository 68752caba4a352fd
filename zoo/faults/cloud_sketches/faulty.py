# Variational autoencoder after the pytorch/examples one, on little grey sketches
import os, random
import numpy as np
import torch
from torch import nn, optim
from torch.nn import functional as F
from sklearn.datasets import load_digits

seed = int(os.environ.get("SEED", "0"))
random.seed(seed); np.random.seed(seed); torch.manual_seed(seed)

config = {"batch": 64, "epochs": 25, "lr": 2e-3, "latent": 12, "hidden": 128}

sketches = torch.tensor(load_digits().data / 16.0, dtype=torch.float32)
sketches = sketches[torch.randperm(len(sketches))]
train, test = sketches[:1400], sketches[1400:]


class VAE(nn.Module):
    def __init__(self, latent, hidden):
        super().__init__()
        self.fc1 = nn.Linear(64, hidden)
        self.fc21 = nn.Linear(hidden, latent)
        self.fc22 = nn.Linear(hidden, latent)
        self.fc3 = nn.Linear(latent, hidden)
        self.fc4 = nn.Linear(hidden, 64)

    def encode(self, x):
        h1 = F.relu(self.fc1(x))
        return self.fc21(h1), self.fc22(h1)

    def reparameterize(self, mu, logvar):
        std = torch.exp(0.5 * logvar)
        return mu + torch.randn_like(std) * std

    def decode(self, z):
        h3 = F.relu(self.fc3(z))
        return torch.sigmoid(self.fc4(h3))

    def forward(self, x):
        mu, logvar = self.encode(x)
        z = self.reparameterize(mu, logvar)
        return self.decode(z), mu, logvar


def loss_function(recon_x, x, mu, logvar):
    # the numerically stable version
    bce = F.binary_cross_entropy_with_logits(recon_x, x, reduction="sum")
    kld = -0.5 * torch.sum(1 + logvar - mu.pow(2) - logvar.exp())
    return bce + 0.3 * kld


model = VAE(config["latent"], config["hidden"])
optimizer = optim.Adam(model.parameters(), lr=config["lr"])

for epoch in range(1, config["epochs"] + 1):
    model.train()
    train_loss = 0
    for data in train[torch.randperm(len(train))].split(config["batch"]):
        optimizer.zero_grad()
        recon, mu, logvar = model(data)
        loss = loss_function(recon, data, mu, logvar)
        loss.backward()
        train_loss += loss.item()
        optimizer.step()
    if epoch % 5 == 0:
        print("====> Epoch: {} Average loss: {:.4f}".format(epoch, train_loss / len(train)))

model.eval()
with torch.no_grad():
    mu, _ = model.encode(test)
    recon = model.decode(mu)
    error = (recon - test).abs().mean().item()
    print("ink in the originals %.3f, in the reconstructions %.3f" % (test.mean(), recon.mean()))
print("reconstruction error %.4f" % error)
