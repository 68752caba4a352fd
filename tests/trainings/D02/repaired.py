"""Spectra of two substances are read into one buffer and handed to a small network."""

import numpy as np
import torch
from torch import nn
from torch.utils.data import DataLoader, Dataset

rng = np.random.default_rng(9)


class Spectra(Dataset):
    def __init__(self, n=600, length=32):
        grid = np.linspace(0, 1, length)
        self.labels = rng.integers(0, 2, n)
        peaks = np.where(self.labels == 0, 0.35, 0.55)[:, None] + 0.05 * rng.standard_normal((n, 1))
        raw = np.exp(-(((grid - peaks) / 0.1) ** 2)) + 0.1 * rng.standard_normal((n, length))
        buffer = np.zeros(length)
        self.spectra = []
        for row in raw:
            buffer[:] = (row - 0.2) / 0.3
            self.spectra.append(buffer.copy())

    def __len__(self):
        return len(self.labels)

    def __getitem__(self, i):
        return torch.tensor(self.spectra[i], dtype=torch.float32), int(self.labels[i])


torch.manual_seed(0)
loader = DataLoader(Spectra(), batch_size=40, shuffle=True)
network = nn.Sequential(nn.Linear(32, 32), nn.ReLU(), nn.Linear(32, 2))
optimizer = torch.optim.Adam(network.parameters(), lr=2e-3)
for epoch in range(8):
    for spectra, labels in loader:
        optimizer.zero_grad()
        loss = nn.functional.cross_entropy(network(spectra), labels)
        loss.backward()
        optimizer.step()
    print(epoch, round(loss.item(), 4))
