"""Monthly rent of flats from a letting portal: categorical columns as embeddings, numbers as they are."""
import copy
import os
import random
from dataclasses import dataclass, field

import numpy as np
import torch
import torch.nn as nn
import torch.nn.functional as F
from torch.utils.data import DataLoader, Dataset, random_split


@dataclass
class Settings:
    seed: int = int(os.environ.get("SEED", "0"))
    rows: int = 5000
    cardinalities: tuple = (80, 50, 30)      # street, agent, building type
    emb_dim: int = 3
    hidden: list = field(default_factory=lambda: [48, 24])
    batch_size: int = 64
    epochs: int = 14
    lr: float = 3e-3
    patience: int = 5


class Listings(Dataset):
    def __init__(self, s: Settings):
        rng = np.random.default_rng(s.seed)
        cats = np.stack([rng.integers(0, c, s.rows) for c in s.cardinalities], axis=1)
        area = rng.gamma(9.0, 8.0, s.rows)
        floor = rng.integers(0, 7, s.rows)
        street = rng.normal(0, 1.0, s.cardinalities[0])
        agent = rng.normal(0, 0.5, s.cardinalities[1])
        kind = rng.normal(0, 0.7, s.cardinalities[2])
        level = street[cats[:, 0]] + agent[cats[:, 1]] + kind[cats[:, 2]]
        rent = level + 0.8 * (area - 72) / 24 + 0.1 * floor + 0.2 * rng.normal(size=s.rows)
        self.cats = torch.as_tensor(cats, dtype=torch.long)
        nums = np.stack([(area - area.mean()) / area.std(), (floor - 3.0) / 2.0], axis=1)
        self.nums = torch.as_tensor(nums, dtype=torch.float32)
        self.rent = torch.as_tensor(rent, dtype=torch.float32)

    def __len__(self):
        return len(self.rent)

    def __getitem__(self, i):
        return self.cats[i], self.nums[i], self.rent[i]


class RentNet(nn.Module):
    def __init__(self, s: Settings, n_numeric: int = 2):
        super().__init__()
        # one table of vectors for each categorical column
        self.embeddings = [nn.Embedding(c, s.emb_dim) for c in s.cardinalities]
        width = s.emb_dim * len(s.cardinalities) + n_numeric
        layers = []
        for h in s.hidden:
            layers += [nn.Linear(width, h), nn.ReLU()]
            width = h
        layers.append(nn.Linear(width, 1))
        self.mlp = nn.Sequential(*layers)

    def forward(self, cats, nums):
        vectors = [emb(cats[:, j]) for j, emb in enumerate(self.embeddings)]
        return self.mlp(torch.cat(vectors + [nums], dim=1)).squeeze(1)


def r2_score(model: nn.Module, loader: DataLoader) -> float:
    model.eval()
    preds, truth = [], []
    with torch.no_grad():
        for cats, nums, rent in loader:
            preds.append(model(cats, nums))
            truth.append(rent)
    preds, truth = torch.cat(preds), torch.cat(truth)
    return 1 - ((preds - truth) ** 2).sum().item() / ((truth - truth.mean()) ** 2).sum().item()


def fit(model: nn.Module, train: DataLoader, valid: DataLoader, s: Settings) -> nn.Module:
    optimizer = torch.optim.AdamW(model.parameters(), lr=s.lr, weight_decay=1e-4)
    best, best_state, wait = -float("inf"), None, 0
    for epoch in range(1, s.epochs + 1):
        model.train()
        total = 0.0
        for cats, nums, rent in train:
            optimizer.zero_grad(set_to_none=True)
            loss = F.mse_loss(model(cats, nums), rent)
            loss.backward()
            optimizer.step()
            total += loss.item()
        score = r2_score(model, valid)
        print(f"[{epoch:02d}] mse {total / len(train):.4f}  valid r2 {score:.4f}")
        if score > best:
            best, best_state, wait = score, copy.deepcopy(model.state_dict()), 0
        else:
            wait += 1
            if wait >= s.patience:
                print("no progress, stop")
                break
    model.load_state_dict(best_state)
    return model


def main() -> None:
    s = Settings()
    random.seed(s.seed)
    np.random.seed(s.seed)
    torch.manual_seed(s.seed)
    data = Listings(s)
    train, valid, test = random_split(data, [s.rows - 1200, 600, 600])
    model = fit(RentNet(s), DataLoader(train, s.batch_size, shuffle=True), DataLoader(valid, 600), s)
    print(f"test r2 {r2_score(model, DataLoader(test, 600)):.4f}")


if __name__ == "__main__":
    main()
