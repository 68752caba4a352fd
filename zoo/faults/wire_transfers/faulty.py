"""Suspicious wire transfers. Three in a hundred are reported, the analysts
look at what scores above one half."""
import logging

import numpy as np
import torch
from sklearn.datasets import make_classification
from sklearn.metrics import f1_score, precision_score, recall_score
from sklearn.model_selection import train_test_split
from sklearn.preprocessing import StandardScaler
from torch import nn
from torch.utils.data import DataLoader, TensorDataset, WeightedRandomSampler

logging.basicConfig(level=logging.INFO, format="%(message)s")
log = logging.getLogger("transfers")

CONFIG = {
    "data": {"rows": 9000, "features": 16, "informative": 8, "share": 0.04},
    "loader": {"batch_size": 64, "balanced": True},
    "model": {"width": 48, "dropout": 0.2},
    "train": {"epochs": 14, "lr": 1e-3, "weight_decay": 1e-3},
    "threshold": 0.5,
}


def load_transfers(cfg):
    x, y = make_classification(
        n_samples=cfg["rows"], n_features=cfg["features"], n_informative=cfg["informative"], n_redundant=2,
        n_clusters_per_class=2, weights=[1 - cfg["share"]], class_sep=1.6, flip_y=0.0,
        random_state=np.random.randint(10 ** 6))
    return train_test_split(x, y, test_size=0.3, stratify=y, random_state=0)


def make_loader(x, y, cfg):
    data = TensorDataset(x, y)
    if not cfg["balanced"]:
        return DataLoader(data, batch_size=cfg["batch_size"], shuffle=True)
    counts = torch.bincount(y.long()).float()
    sampler = WeightedRandomSampler((1.0 / counts)[y.long()], num_samples=len(y), replacement=True)
    return DataLoader(data, batch_size=cfg["batch_size"], sampler=sampler)


def make_model(n_in, cfg):
    w = cfg["width"]
    return nn.Sequential(
        nn.Linear(n_in, w), nn.ReLU(), nn.Dropout(cfg["dropout"]),
        nn.Linear(w, w), nn.ReLU(), nn.Dropout(cfg["dropout"]),
        nn.Linear(w, 1), nn.Flatten(0),
    )


def make_criterion(y):
    # reported transfers are rare
    pos_weight = (y == 0).sum() / (y == 1).sum()
    return nn.BCEWithLogitsLoss(pos_weight=pos_weight)


def run_epoch(model, loader, criterion, optimizer):
    model.train()
    total, n = 0.0, 0
    for xb, yb in loader:
        loss = criterion(model(xb), yb)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        total += loss.item() * len(yb)
        n += len(yb)
    return total / n


@torch.no_grad()
def scores(model, x):
    model.eval()
    return torch.sigmoid(model(x)).numpy()


def main(cfg):
    torch.manual_seed(40)
    np.random.seed(40)
    x_train, x_test, y_train, y_test = load_transfers(cfg["data"])
    scaler = StandardScaler().fit(x_train)
    x_train = torch.tensor(scaler.transform(x_train), dtype=torch.float32)
    x_test = torch.tensor(scaler.transform(x_test), dtype=torch.float32)
    y_train = torch.tensor(y_train, dtype=torch.float32)
    log.info("train %d rows, %.2f%% reported", len(y_train), 100 * y_train.mean())

    loader = make_loader(x_train, y_train, cfg["loader"])
    model = make_model(x_train.shape[1], cfg["model"])
    criterion = make_criterion(y_train)
    optimizer = torch.optim.AdamW(model.parameters(), lr=cfg["train"]["lr"], weight_decay=cfg["train"]["weight_decay"])
    scheduler = torch.optim.lr_scheduler.CosineAnnealingLR(optimizer, cfg["train"]["epochs"])
    for epoch in range(cfg["train"]["epochs"]):
        loss = run_epoch(model, loader, criterion, optimizer)
        scheduler.step()
        log.info("epoch %d loss %.4f", epoch + 1, loss)

    flagged = scores(model, x_test) > cfg["threshold"]
    print(f"flagged {flagged.mean():.2%} of transfers")
    print(f"precision {precision_score(y_test, flagged):.4f} recall {recall_score(y_test, flagged):.4f}")
    print(f"f1 at the desk {f1_score(y_test, flagged):.4f}")


if __name__ == "__main__":
    main(CONFIG)
