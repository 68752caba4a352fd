"""Denoising autoencoder on the breast cancer measurements."""

import numpy as np
import torch
import torch.nn.functional as F
from sklearn.datasets import load_breast_cancer
from sklearn.preprocessing import StandardScaler
from torch import nn


class Autoencoder(nn.Module):
    def __init__(self, n, code=8):
        super().__init__()
        self.encode = nn.Sequential(nn.Linear(n, 24), nn.ELU(), nn.Linear(24, code))
        self.decode = nn.Sequential(nn.Linear(code, 24), nn.ELU(), nn.Linear(24, n))

    def forward(self, x):
        return self.decode(self.encode(x))


def main(steps=120):
    data = StandardScaler().fit_transform(load_breast_cancer().data).astype(np.float32).clip(-4, 4)
    model = Autoencoder(data.shape[1])
    optimizer = torch.optim.Adam(model.parameters(), lr=3e-3)
    for step in range(steps):
        rows = np.random.choice(len(data), 64, replace=False)
        clean = torch.from_numpy(data[rows])
        loss = F.mse_loss(model(clean + 0.1 * torch.randn_like(clean)), clean)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        if step % 30 == 29:
            print(step, round(loss.item(), 3))


if __name__ == "__main__":
    main()
