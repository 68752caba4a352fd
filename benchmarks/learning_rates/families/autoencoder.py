"""Digits through eight numbers and back, Adam."""

import argparse

import torch
from sklearn.datasets import load_digits
from torch import nn


class Autoencoder(nn.Module):
    def __init__(self, pixels=64, code=8):
        super().__init__()
        self.encoder = nn.Sequential(nn.Linear(pixels, 64), nn.ReLU(), nn.Linear(64, code))
        self.decoder = nn.Sequential(nn.Linear(code, 64), nn.ReLU(), nn.Linear(64, pixels))

    def forward(self, x):
        return self.decoder(self.encoder(x))


class Training:
    def __init__(self, lr, seed):
        torch.manual_seed(seed)
        pixels = torch.tensor(load_digits().data, dtype=torch.float32) / 16
        order = torch.randperm(len(pixels))
        self.train, self.held = pixels[order[:1500]], pixels[order[1500:]]
        self.model = Autoencoder()
        self.optimizer = torch.optim.Adam(self.model.parameters(), lr=lr)
        self.losses = []

    def step(self, batch):
        loss = (self.model(batch) - batch).square().mean()
        self.optimizer.zero_grad()
        loss.backward()
        self.optimizer.step()
        self.losses.append(loss.item())

    def run(self, epochs):
        for epoch in range(epochs):
            for batch in self.train[torch.randperm(len(self.train))].split(50):
                self.step(batch)
            with torch.no_grad():
                error = (self.model(self.held) - self.held).square().mean().item()
            print(f"epoch {epoch} train {self.losses[-1]:.5f} held out {error:.5f}")
        losses = self.losses
        print(f"first {losses[0]:.6g} final {sum(losses[-30:]) / 30:.6g} steps {len(losses)}")


if __name__ == "__main__":
    parser = argparse.ArgumentParser()
    parser.add_argument("--lr", type=float, default=5e-3)
    parser.add_argument("--seed", type=int, default=0)
    arguments = parser.parse_args()
    Training(arguments.lr, arguments.seed).run(epochs=10)
