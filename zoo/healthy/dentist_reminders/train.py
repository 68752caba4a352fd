"""Dental practice: will the patient come?  About a quarter do not; much of it is chance."""
import os

import numpy as np
import torch
from torch import nn
from torch.utils.data import DataLoader, Dataset

SEED = int(os.environ.get("SEED", "0"))


class Appointments(Dataset):
    def __init__(self, numbers, weekday, town, missed):
        self.numbers, self.weekday, self.town, self.missed = numbers, weekday, town, missed

    def __len__(self):
        return len(self.missed)

    def __getitem__(self, i):
        return self.numbers[i], self.weekday[i], self.town[i], self.missed[i]


def simulate(n, rng):
    age = rng.uniform(5, 90, n)
    lead = rng.exponential(20, n)
    past = rng.poisson(0.7, n)
    sms = rng.integers(0, 2, n)
    weekday = rng.integers(0, 5, n)
    town = rng.integers(0, 12, n)
    town_effect = np.linspace(-0.9, 0.9, 12)[np.random.RandomState(3).permutation(12)]
    logit = (-2.4 + 0.03 * lead * (1 - 0.6 * sms) + 0.8 * past - 0.012 * (age - 40)
             + np.array([0.7, 0, -0.2, 0, 0.5])[weekday] + town_effect[town])
    missed = rng.random(n) < 1 / (1 + np.exp(-logit))
    numbers = np.column_stack([age / 90, np.log1p(lead) / 4, past / 3, sms])
    return (torch.tensor(numbers, dtype=torch.float32), torch.tensor(weekday), torch.tensor(town),
            torch.tensor(missed.astype(np.int64)))


class Net(nn.Module):
    def __init__(self):
        super().__init__()
        self.weekday = nn.Embedding(5, 3)
        self.town = nn.Embedding(12, 4)
        self.body = nn.Sequential(nn.Linear(4 + 3 + 4, 48), nn.ReLU(), nn.Dropout(0.1), nn.Linear(48, 2))

    def forward(self, numbers, weekday, town):
        return self.body(torch.cat([numbers, self.weekday(weekday), self.town(town)], 1))


def score(model, loader):
    model.eval()
    hits = torch.zeros(2)
    counts = torch.zeros(2)
    with torch.no_grad():
        for numbers, weekday, town, missed in loader:
            guess = model(numbers, weekday, town).argmax(1)
            for c in (0, 1):
                hits[c] += ((guess == c) & (missed == c)).sum()
                counts[c] += (missed == c).sum()
    recalls = hits / counts
    return recalls.mean().item(), recalls.tolist(), (hits.sum() / counts.sum()).item()


def main():
    torch.manual_seed(SEED)
    rng = np.random.default_rng(SEED)
    train_set = Appointments(*simulate(8000, rng))
    test_set = Appointments(*simulate(3000, rng))
    share = train_set.missed.float().mean().item()
    print(f"missed share {share:.3f}; always saying 'comes': balanced accuracy 0.500")
    weights = torch.tensor([1 / (1 - share), 1 / share]) / 2

    model = Net()
    loss_fn = nn.CrossEntropyLoss(weight=weights)
    opt = torch.optim.Adam(model.parameters(), lr=2e-3, weight_decay=1e-4)
    train_loader = DataLoader(train_set, batch_size=128, shuffle=True)
    test_loader = DataLoader(test_set, batch_size=1000)
    for epoch in range(14):
        model.train()
        losses = []
        for numbers, weekday, town, missed in train_loader:
            loss = loss_fn(model(numbers, weekday, town), missed)
            opt.zero_grad()
            loss.backward()
            opt.step()
            losses.append(loss.item())
        print(f"epoch {epoch:2d} loss {np.mean(losses):.4f}")
    balanced, recalls, plain = score(model, test_loader)
    print(f"test balanced accuracy {balanced:.3f}  recalls {[round(r, 3) for r in recalls]}  accuracy {plain:.3f}")


if __name__ == "__main__":
    main()
