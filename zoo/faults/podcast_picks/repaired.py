"""Who will play which show to the end, and at what hour of the day?"""
from typing import NamedTuple

import numpy as np
import torch
from sklearn.metrics import roc_auc_score
from torch import nn
from torch.utils.data import DataLoader, TensorDataset, random_split


class Sizes(NamedTuple):
    listener: int = 250
    show: int = 90
    hour: int = 24


def simulate(sizes: Sizes, n: int) -> TensorDataset:
    tastes, themes = np.random.randn(sizes.listener, 3), np.random.randn(sizes.show, 3)
    appeal = 0.5 * np.random.randn(sizes.show)
    who, what, when = (np.random.randint(0, s, n) for s in sizes)
    score = 1.2 * (tastes[who] * themes[what]).sum(1) + appeal[what] + 0.5 * np.cos((when - 19) * np.pi / 12)
    finished = np.random.rand(n) < 1 / (1 + np.exp(-score))
    return TensorDataset(torch.from_numpy(np.stack([who, what, when], 1)), torch.from_numpy(finished).float())


class Recommender(nn.Module):
    def __init__(self, sizes: Sizes, dim: int = 12):
        super().__init__()
        self.tables = nn.ModuleDict({name: nn.Embedding(size, dim) for name, size in sizes._asdict().items()})
        for table in self.tables.values():
            nn.init.normal_(table.weight, std=0.3)
        self.top = nn.Sequential(nn.Linear(4 * dim, 32), nn.ReLU(), nn.Linear(32, 1))

    def forward(self, ids: torch.Tensor) -> torch.Tensor:
        who, what, when = (table(ids[:, i]) for i, table in enumerate(self.tables.values()))
        return self.top(torch.cat([who * what, who, what, when], 1)).squeeze(1)


class Fitter:
    def __init__(self, model: nn.Module, lr: float, decay: float):
        self.model = model
        self.loss = nn.BCEWithLogitsLoss()
        self.optimizer = torch.optim.AdamW(model.parameters(), lr=lr, weight_decay=decay)

    def one_pass(self, loader: DataLoader) -> float:
        self.model.train()
        total = 0.0
        for ids, finished in loader:
            self.optimizer.zero_grad(set_to_none=True)
            loss = self.loss(self.model(ids), finished)
            loss.backward()
            self.optimizer.step()
            total += loss.item()
        return total / len(loader)

    @torch.no_grad()
    def auc(self, loader: DataLoader) -> float:
        self.model.eval()
        pairs = [(self.model(ids), finished) for ids, finished in loader]
        scores, truth = map(torch.cat, zip(*pairs))
        return roc_auc_score(truth.numpy(), scores.numpy())


if __name__ == "__main__":
    np.random.seed(27)
    torch.manual_seed(27)
    sizes = Sizes()
    train, test = random_split(simulate(sizes, 16000), [13000, 3000])
    train_loader = DataLoader(train, batch_size=200, shuffle=True)
    test_loader = DataLoader(test, batch_size=500)
    fitter = Fitter(Recommender(sizes), lr=5e-3, decay=0.02)
    for epoch in range(1, 11):
        loss = fitter.one_pass(train_loader)
        print(f"pass {epoch}: loss {loss:.4f}, AUC {fitter.auc(test_loader):.4f}")
