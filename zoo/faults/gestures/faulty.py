import numpy as np
import torch
import torch.nn as nn
from torch.utils.data import DataLoader, Dataset


class GestureData(Dataset):
    """Three-axis accelerations of five gestures, 24 samples each."""

    CLASSES = 5

    def __init__(self, n, seed):
        g = np.random.RandomState(seed)
        shapes = np.random.RandomState(0).randn(self.CLASSES, 3, 4)
        t = np.linspace(0, 1, 24)
        basis = np.stack([np.sin(np.pi * (k + 1) * t) for k in range(4)])
        self.y = g.randint(0, self.CLASSES, n)
        speed = 1 + 0.3 * g.randn(n, 1, 1)
        self.x = speed * (shapes[self.y] + 0.5 * g.randn(n, 3, 4)) @ basis + 0.6 * g.randn(n, 3, 24)

    def __len__(self):
        return len(self.y)

    def __getitem__(self, i):
        return torch.tensor(self.x[i], dtype=torch.float32).flatten(), int(self.y[i])


class MLP(nn.Module):
    def __init__(self, sizes):
        super().__init__()
        self.layers = nn.ModuleList(nn.Linear(a, b) for a, b in zip(sizes, sizes[1:]))
        self.apply(self._init)

    @staticmethod
    def _init(m):
        if isinstance(m, nn.Linear):
            nn.init.normal_(m.weight, std=1.0)
            nn.init.zeros_(m.bias)

    def forward(self, x):
        for layer in self.layers[:-1]:
            x = torch.relu(layer(x))
        return self.layers[-1](x)


class Runner:
    def __init__(self, seed=9, epochs=12):
        np.random.seed(seed)
        torch.manual_seed(seed)
        a, b = np.random.randint(1, 10_000, 2)
        self.train_loader = DataLoader(GestureData(800, a), batch_size=40, shuffle=True)
        self.val_loader = DataLoader(GestureData(500, b), batch_size=250)
        self.model = MLP([72, 200, 200, 200, 200, GestureData.CLASSES])
        self.opt = torch.optim.SGD(self.model.parameters(), lr=0.02, momentum=0.9)
        self.loss_fn = nn.CrossEntropyLoss()
        self.epochs = epochs

    def fit(self):
        for epoch in range(self.epochs):
            losses = []
            for x, y in self.train_loader:
                self.opt.zero_grad()
                loss = self.loss_fn(self.model(x), y)
                loss.backward()
                self.opt.step()
                losses.append(loss.item())
            print(f"epoch {epoch:02d} train {np.mean(losses):.4f} val acc {self.accuracy():.4f}")

    def accuracy(self):
        right = 0
        with torch.no_grad():
            for x, y in self.val_loader:
                right += (self.model(x).argmax(-1) == y).sum().item()
        return right / len(self.val_loader.dataset)


if __name__ == "__main__":
    Runner().fit()
