import numpy as np
import torch
import torch.nn as nn
import torch.nn.functional as F
from torch.utils.data import DataLoader, TensorDataset

torch.manual_seed(33)
rng = np.random.default_rng(33)

CARDINALITIES = {"region": 12, "maker": 20, "storage": 5, "towing_car": 25, "age_band": 8}
CLASSES = ["basic", "plus", "full"]


def make_policies(n):
    cats = np.stack([rng.integers(0, c, n) for c in CARDINALITIES.values()], axis=1)
    value = rng.lognormal(2.6, 0.5, n)
    nights = rng.poisson(25, n).astype(float)
    return cats, np.stack([np.log(value), nights], axis=1)


effects = [rng.normal(0, 1.0, size=(c, len(CLASSES))) for c in CARDINALITIES.values()]


def chosen_cover(cats, cont):
    utility = sum(e[cats[:, j]] for j, e in enumerate(effects))
    z = (cont - cont.mean(0)) / cont.std(0)
    utility = utility + z @ np.array([[-0.8, 0.0, 0.8], [-0.3, 0.5, -0.2]])
    utility = utility + 0.4 * rng.gumbel(size=utility.shape)
    return utility.argmax(1)


class EmbeddingWithDropout(nn.Module):
    """Drops whole categories: a dropped row of the table is zero for the entire batch."""

    def __init__(self, num, dim, p):
        super().__init__()
        self.weight = nn.Parameter(torch.randn(num, dim) * 0.1)
        self.p = p

    def forward(self, idx):
        if self.p > 0:
            keep = torch.empty(self.weight.size(0), 1).bernoulli_(1 - self.p)
            table = self.weight * keep / (1 - self.p)
        else:
            table = self.weight
        return F.embedding(idx, table)


class TabNet(nn.Module):
    def __init__(self, cardinalities, n_cont, dim=6, emb_p=0.4):
        super().__init__()
        self.embs = nn.ModuleList(EmbeddingWithDropout(c, dim, emb_p) for c in cardinalities)
        self.norm = nn.BatchNorm1d(n_cont)
        self.mlp = nn.Sequential(
            nn.Linear(dim * len(cardinalities) + n_cont, 64), nn.ReLU(), nn.Dropout(0.1),
            nn.Linear(64, len(CLASSES)),
        )

    def forward(self, cats, cont):
        parts = [emb(cats[:, j]) for j, emb in enumerate(self.embs)]
        return self.mlp(torch.cat(parts + [self.norm(cont)], dim=1))


class Trainer:
    def __init__(self, model):
        self.model = model
        self.optimizer = torch.optim.Adam(model.parameters(), lr=3e-3, weight_decay=1e-5)

    def fit(self, loader, epochs):
        for epoch in range(epochs):
            self.model.train()
            losses = []
            for cats, cont, y in loader:
                loss = F.cross_entropy(self.model(cats, cont), y)
                self.optimizer.zero_grad()
                loss.backward()
                self.optimizer.step()
                losses.append(loss.item())
            if (epoch + 1) % 5 == 0:
                print(f"epoch {epoch + 1:2d} | train loss {np.mean(losses):.3f}")

    @torch.no_grad()
    def score(self, loader):
        self.model.eval()
        hits = [(self.model(cats, cont).argmax(1) == y).float() for cats, cont, y in loader]
        return torch.cat(hits).mean().item()


cats, cont = make_policies(5000)
cover = chosen_cover(cats, cont)
full = TensorDataset(torch.from_numpy(cats), torch.tensor(cont, dtype=torch.float32), torch.from_numpy(cover))
train_part, test_part = torch.utils.data.random_split(full, [4000, 1000])

trainer = Trainer(TabNet(list(CARDINALITIES.values()), n_cont=2))
trainer.fit(DataLoader(train_part, batch_size=64, shuffle=True), epochs=20)
share = np.bincount(cover).max() / len(cover)
print(f"most common cover: {share:.3f}")
print(f"test accuracy = {trainer.score(DataLoader(test_part, batch_size=200)):.4f}")
