"""Predict the progression of diabetes; some measurements are missing."""

import numpy as np
import torch
from sklearn.datasets import load_diabetes
from torch import nn
from torch.utils.data import DataLoader, TensorDataset


class Regressor(nn.Module):
    def __init__(self, features, width=32):
        super().__init__()
        self.hidden = nn.Linear(features, width)
        self.deeper = nn.Linear(width, width)
        self.head = nn.Linear(width, 1)

    def forward(self, x):
        return self.head(torch.tanh(self.deeper(torch.tanh(self.hidden(x))))).squeeze(1)


class Experiment:
    def __init__(self, seed=3):
        torch.manual_seed(seed)
        rng = np.random.default_rng(seed)
        data = load_diabetes()
        x = data.data.astype(np.float32)
        x = (x - x.mean(0)) / x.std(0)
        x[rng.random(x.shape) < 0.002] = np.nan  # not measured
        x = np.nan_to_num(x)
        y = ((data.target - data.target.mean()) / data.target.std()).astype(np.float32)
        train = TensorDataset(torch.from_numpy(x[:352]), torch.from_numpy(y[:352]))
        self.loader = DataLoader(train, batch_size=32, shuffle=True)
        self.model = Regressor(x.shape[1])
        self.optimizer = torch.optim.Adam(self.model.parameters(), lr=3e-3)

    def run(self, epochs=10):
        for epoch in range(epochs):
            total = 0.0
            for x, y in self.loader:
                loss = nn.functional.mse_loss(self.model(x), y)
                self.optimizer.zero_grad()
                loss.backward()
                self.optimizer.step()
                total += loss.item() / len(self.loader)
            print(f"epoch {epoch} loss {total:.3f}")


if __name__ == "__main__":
    Experiment().run()
