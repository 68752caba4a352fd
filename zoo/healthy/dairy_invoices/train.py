"""Will this invoice be paid late?  A dairy wholesaler with 80 customers.

Numbers are standardized with training statistics, the customer and the
region are embedded.  Early stopping on the validation log loss.
"""
import copy
import os

import numpy as np
import torch
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import roc_auc_score
from torch import nn
from torch.utils.data import DataLoader, TensorDataset

SETTINGS = {
    "seed": int(os.environ.get("SEED", "0")),
    "rows": 12000,
    "customers": 80,
    "regions": 6,
    "batch": 128,
    "lr": 2e-3,
    "weight_decay": 1e-4,
    "dropout": 0.1,
    "max_epochs": 40,
    "patience": 6,
}


def make_invoices(cfg):
    rng = np.random.default_rng(cfg["seed"])
    n = cfg["rows"]
    # a few customers order daily, most of them seldom
    popularity = rng.dirichlet(np.full(cfg["customers"], 0.6))
    customer = rng.choice(cfg["customers"], n, p=popularity)
    region_of = rng.integers(0, cfg["regions"], cfg["customers"])
    region = region_of[customer]
    manner = rng.normal(0, 0.9, cfg["customers"])[customer]
    amount = np.log(rng.lognormal(5.0, 0.8, n))
    weekday = rng.integers(0, 7, n)
    credit_days = rng.choice([7, 14, 30], n)
    open_items = rng.poisson(2.0, n)
    logit = (manner - 0.6 + 0.7 * (amount - 5.0) * (credit_days == 7)
             - 0.5 * (credit_days == 30) + 0.35 * (open_items - 2)
             + 0.6 * np.isin(weekday, [4, 5]) * (region % 2))
    late = (rng.random(n) < 1 / (1 + np.exp(-logit))).astype(np.float32)
    numbers = np.stack([amount, np.sin(2 * np.pi * weekday / 7),
                        np.cos(2 * np.pi * weekday / 7), weekday >= 4,
                        credit_days, open_items], 1).astype(np.float32)
    return numbers, np.stack([customer, region], 1), late, logit


class LatePayer(nn.Module):
    def __init__(self, cfg, n_numbers):
        super().__init__()
        self.customer = nn.Embedding(cfg["customers"], 6)
        self.region = nn.Embedding(cfg["regions"], 3)
        self.body = nn.Sequential(
            nn.Linear(n_numbers + 9, 48), nn.ReLU(), nn.Dropout(cfg["dropout"]),
            nn.Linear(48, 24), nn.ReLU(), nn.Linear(24, 1))

    def forward(self, numbers, cats):
        parts = [numbers, self.customer(cats[:, 0]), self.region(cats[:, 1])]
        return self.body(torch.cat(parts, 1)).squeeze(1)


def main(cfg):
    torch.manual_seed(cfg["seed"])
    numbers, cats, late, logit = make_invoices(cfg)
    order = np.random.default_rng(cfg["seed"] + 1).permutation(len(late))
    tr, va, te = np.split(order, [int(0.7 * len(order)), int(0.85 * len(order))])
    mean, std = numbers[tr].mean(0), numbers[tr].std(0)
    numbers = (numbers - mean) / std

    onehot = np.eye(cfg["customers"])[cats[:, 0]]
    design = np.hstack([numbers, onehot])
    base = LogisticRegression(max_iter=500).fit(design[tr], late[tr])
    base_auc = roc_auc_score(late[te], base.predict_proba(design[te])[:, 1])

    data = [TensorDataset(torch.tensor(numbers[i]), torch.tensor(cats[i]), torch.tensor(late[i]))
            for i in (tr, va, te)]
    train_loader = DataLoader(data[0], cfg["batch"], shuffle=True)
    val_loader, test_loader = DataLoader(data[1], 1024), DataLoader(data[2], 1024)

    model = LatePayer(cfg, numbers.shape[1])
    optimizer = torch.optim.AdamW(model.parameters(), cfg["lr"], weight_decay=cfg["weight_decay"])
    criterion = nn.BCEWithLogitsLoss()

    def predict(loader):
        model.eval()
        with torch.no_grad():
            out = [(model(x, c), y) for x, c, y in loader]
        return torch.cat([o for o, _ in out]), torch.cat([y for _, y in out])

    best, best_state, bad = float("inf"), None, 0
    for epoch in range(cfg["max_epochs"]):
        model.train()
        total = 0.0
        for x, c, y in train_loader:
            optimizer.zero_grad()
            loss = criterion(model(x, c), y)
            loss.backward()
            optimizer.step()
            total += loss.item() * len(y)
        val = criterion(*predict(val_loader)).item()
        print(f"epoch {epoch:2d}  train {total / len(tr):.4f}  val {val:.4f}")
        if val < best:
            best, best_state, bad = val, copy.deepcopy(model.state_dict()), 0
        else:
            bad += 1
            if bad == cfg["patience"]:
                break
    model.load_state_dict(best_state)
    scores, truth = predict(test_loader)
    print(f"test AUC: logistic {base_auc:.3f}  network {roc_auc_score(truth, scores):.3f}  "
          f"best possible {roc_auc_score(late[te], logit[te]):.3f}")


if __name__ == "__main__":
    main(SETTINGS)
