"""VAE (after pytorch/examples/vae) on small pictures of sundials: the shadow's direction and length vary."""
import argparse
import math

import torch
import torch.nn as nn
import torch.nn.functional as F
from torch.utils.data import DataLoader

parser = argparse.ArgumentParser(description="VAE sundials")
parser.add_argument("--batch-size", type=int, default=64)
parser.add_argument("--epochs", type=int, default=30)
parser.add_argument("--lr", type=float, default=2e-3)
parser.add_argument("--warmup", type=int, default=3, help="epochs until the full learning rate")
parser.add_argument("--decay", type=float, default=0.95)
args = parser.parse_args([])

torch.manual_seed(17)

SIDE = 16


def sundials(n):
    """Soft-edged shadow from the centre of the dial; values in [0, 1]."""
    axis = torch.linspace(-1, 1, SIDE)
    yy, xx = torch.meshgrid(axis, axis, indexing="ij")
    angle = torch.rand(n, 1, 1) * math.pi
    length = 0.5 + 0.4 * torch.rand(n, 1, 1)
    along = xx * angle.cos() + yy * angle.sin()
    across = (-xx * angle.sin() + yy * angle.cos()).abs()
    shadow = torch.sigmoid((0.13 - across) * 25) * torch.sigmoid((length - along) * 25) * torch.sigmoid((along + 0.1) * 25)
    return shadow.reshape(n, -1)


class VAE(nn.Module):
    def __init__(self, n_pixels=SIDE * SIDE, hidden=128, latent=8):
        super().__init__()
        self.fc1 = nn.Linear(n_pixels, hidden)
        self.fc21 = nn.Linear(hidden, latent)
        self.fc22 = nn.Linear(hidden, latent)
        self.fc3 = nn.Linear(latent, hidden)
        self.fc4 = nn.Linear(hidden, n_pixels)

    def encode(self, x):
        h1 = F.relu(self.fc1(x))
        return self.fc21(h1), self.fc22(h1)

    def reparameterize(self, mu, logvar):
        std = torch.exp(0.5 * logvar)
        return mu + torch.randn_like(std) * std

    def decode(self, z):
        return torch.sigmoid(self.fc4(F.relu(self.fc3(z))))

    def forward(self, x):
        mu, logvar = self.encode(x)
        return self.decode(self.reparameterize(mu, logvar)), mu, logvar


def loss_function(recon_x, x, mu, logvar):
    bce = F.binary_cross_entropy(recon_x, x, reduction="sum")
    kld = -0.5 * torch.sum(1 + logvar - mu.pow(2) - logvar.exp())
    return bce + kld


def learning_rate(epoch):
    """Linear warm-up, then exponential decay."""
    if epoch < args.warmup:
        return args.lr * (epoch + 1) / args.warmup
    return args.lr * args.decay ** (epoch - args.warmup)


def train(model, loader, optimizer, epoch):
    model.train()
    train_loss = 0.0
    for data in loader:
        optimizer.zero_grad()
        recon, mu, logvar = model(data)
        loss = loss_function(recon, data, mu, logvar) / len(data)
        loss.backward()
        optimizer.step()
        train_loss += loss.item() * len(data)
    if epoch % 5 == 0:
        print("====> Epoch: {} Average loss: {:.4f}".format(epoch, train_loss / len(loader.dataset)))


@torch.no_grad()
def test(model, pictures):
    model.eval()
    recon, mu, logvar = model(pictures)
    return loss_function(recon, pictures, mu, logvar).item() / len(pictures)


def main():
    train_set, test_set = sundials(3000), sundials(600)
    loader = DataLoader(train_set, batch_size=args.batch_size, shuffle=True)
    model = VAE()
    optimizer = torch.optim.Adam(model.parameters(), lr=args.lr)
    scheduler = torch.optim.lr_scheduler.LambdaLR(optimizer, lr_lambda=learning_rate)
    for epoch in range(1, args.epochs + 1):
        train(model, loader, optimizer, epoch)
        scheduler.step()
    mean = train_set.mean(0, keepdim=True).clamp(1e-4, 1 - 1e-4).expand_as(test_set)
    print("mean picture: {:.4f}".format(F.binary_cross_entropy(mean, test_set, reduction="sum").item() / len(test_set)))
    print("====> Test set loss: {:.4f}".format(test(model, test_set)))


if __name__ == "__main__":
    main()
