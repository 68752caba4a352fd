"""Binary codes for pictures: an autoencoder whose code is made of -1 and +1, for the search by Hamming distance."""
import os
import random

import numpy as np
import torch
import torch.nn as nn
from sklearn.datasets import load_digits

seed = int(os.environ.get("SEED", "0"))
random.seed(seed)
np.random.seed(seed)
torch.manual_seed(seed)


class Encoder(nn.Module):
    def __init__(self, bits):
        super().__init__()
        self.layers = nn.Sequential(nn.Linear(64, 96), nn.ReLU(), nn.Linear(96, bits), nn.Tanh())

    def forward(self, x):
        z = self.layers(x)
        code = torch.sign(z)
        code = z + (code - z).detach()
        return code


class Decoder(nn.Module):
    def __init__(self, bits):
        super().__init__()
        self.layers = nn.Sequential(nn.Linear(bits, 96), nn.ReLU(), nn.Linear(96, 64))

    def forward(self, code):
        return self.layers(code)


def load():
    x, y = load_digits(return_X_y=True)
    order = np.random.permutation(len(x))
    x = torch.tensor(x[order] / 16.0, dtype=torch.float32)
    y = torch.tensor(y[order])
    return (x[:1300], y[:1300]), (x[1300:], y[1300:])


def main(bits=16, epochs=60, batch=50):
    (x_train, y_train), (x_test, y_test) = load()
    enc, dec = Encoder(bits), Decoder(bits)
    optimizer = torch.optim.Adam(list(enc.parameters()) + list(dec.parameters()), lr=1e-3)
    loss_fn = nn.MSELoss()

    for epoch in range(epochs):
        enc.train(), dec.train()
        perm = torch.randperm(len(x_train))
        losses = []
        for i in range(0, len(perm), batch):
            x = x_train[perm[i:i + batch]]
            code = enc(x)
            loss = loss_fn(dec(code), x)
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
            losses.append(loss.item())
        if epoch % 10 == 0:
            print(f"epoch {epoch} reconstruction {np.mean(losses):.4f}")

    enc.eval(), dec.eval()
    with torch.no_grad():
        c_train, c_test = enc(x_train).sign(), enc(x_test).sign()
        error = loss_fn(dec(c_test), x_test).item()
        nearest = (c_test @ c_train.T).argmax(1)
        hits = (y_train[nearest] == y_test).float().mean().item()
    print(f"nearest card shows the same digit: {hits:.3f}")
    print(f"test reconstruction mse: {error:.5f}")


if __name__ == "__main__":
    main()
