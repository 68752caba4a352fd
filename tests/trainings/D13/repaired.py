"""Wine classes from noisy measurements, loaded by two processes."""

import numpy as np
import torch
from sklearn.datasets import load_wine
from torch import nn
from torch.utils.data import DataLoader, Dataset, get_worker_info


class NoisyWines(Dataset):
    def __init__(self, noise=0.2, seed=0):
        wine = load_wine()
        self.values = ((wine.data - wine.data.mean(0)) / wine.data.std(0)).astype(np.float32)
        self.classes = wine.target
        self.noise = noise
        self.rng = np.random.default_rng(seed)

    def __len__(self):
        return 20 * len(self.classes)

    def __getitem__(self, i):
        i %= len(self.classes)
        values = self.values[i] + self.noise * self.rng.standard_normal(self.values.shape[1], dtype=np.float32)
        return torch.from_numpy(values), int(self.classes[i])


def fresh_generator(worker):
    get_worker_info().dataset.rng = np.random.default_rng(torch.initial_seed())


def main():
    torch.manual_seed(0)
    loader = DataLoader(NoisyWines(), batch_size=60, shuffle=True, num_workers=2, worker_init_fn=fresh_generator)
    model = nn.Sequential(nn.Linear(13, 24), nn.Tanh(), nn.Linear(24, 3))
    optimizer = torch.optim.Adam(model.parameters(), lr=5e-3)
    for epoch in range(2):
        for values, classes in loader:
            optimizer.zero_grad()
            loss = nn.functional.cross_entropy(model(values), classes)
            loss.backward()
            optimizer.step()
        print(epoch, loss.item())


if __name__ == "__main__":
    main()
