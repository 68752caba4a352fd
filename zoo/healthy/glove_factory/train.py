"""Which gloves will come back?  Predict returns from the inspection sheet of a leather glove factory."""
import argparse
import tempfile
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from sklearn.metrics import average_precision_score, roc_auc_score
from sklearn.model_selection import train_test_split
from sklearn.preprocessing import StandardScaler
from torch import nn
from torch.utils.data import DataLoader, TensorDataset


@dataclass
class Config:
    rows: int = 14000
    batch_size: int = 256
    lr: float = 1e-3
    weight_decay: float = 1e-2
    dropout: float = 0.2
    max_epochs: int = 40
    patience: int = 7
    seed: int = 11


CARDINALITIES = [9, 24, 5]  # tannery, cutter, hide


def inspection_sheets(n, rng):
    cats = np.stack([rng.integers(0, c, n) for c in CARDINALITIES], axis=1)
    thickness = rng.normal(0.9, 0.12, n)
    stretch = rng.gamma(4.0, 1.5, n)
    stitches = rng.normal(42, 6, n)
    humidity = rng.uniform(30, 80, n)
    lining = rng.normal(0.0, 1.0, n)
    shift_hour = rng.uniform(0, 8, n)
    tannery, cutter, hide = (rng.normal(0, s, c) for s, c in zip((0.8, 0.9, 0.6), CARDINALITIES))
    score = (tannery[cats[:, 0]] + cutter[cats[:, 1]] + hide[cats[:, 2]]
             + 1.5 * np.abs((thickness - 0.9) / 0.12) + 0.35 * (stretch - 6)
             - 0.12 * (stitches - 42) * (humidity > 60) + 0.06 * (shift_hour - 3) ** 2 - 5.6)
    returned = rng.random(n) < 1 / (1 + np.exp(-score))
    numeric = np.stack([thickness, stretch, stitches, humidity, lining, shift_hour], axis=1)
    return cats, numeric, returned.astype(np.float32)


class GloveNet(nn.Module):
    def __init__(self, n_numeric, dropout):
        super().__init__()
        self.tables = nn.ModuleList(nn.Embedding(c, min(8, (c + 1) // 2)) for c in CARDINALITIES)
        width = n_numeric + sum(t.embedding_dim for t in self.tables)
        self.body = nn.Sequential(
            nn.Linear(width, 96), nn.BatchNorm1d(96), nn.ReLU(), nn.Dropout(dropout),
            nn.Linear(96, 48), nn.BatchNorm1d(48), nn.ReLU(), nn.Dropout(dropout),
            nn.Linear(48, 1),
        )

    def forward(self, cats, numeric):
        embedded = [table(cats[:, i]) for i, table in enumerate(self.tables)]
        return self.body(torch.cat([numeric, *embedded], dim=1)).squeeze(1)


class Trainer:
    def __init__(self, model, cfg, pos_weight, folder):
        self.model, self.cfg = model, cfg
        self.criterion = nn.BCEWithLogitsLoss(pos_weight=pos_weight)
        self.optimizer = torch.optim.AdamW(model.parameters(), lr=cfg.lr, weight_decay=cfg.weight_decay)
        self.scheduler = torch.optim.lr_scheduler.ReduceLROnPlateau(self.optimizer, mode="max", factor=0.3, patience=2)
        self.best_path = Path(folder) / "best.pt"

    def train_epoch(self, loader):
        self.model.train()
        total = 0.0
        for cats, numeric, y in loader:
            self.optimizer.zero_grad(set_to_none=True)
            loss = self.criterion(self.model(cats, numeric), y)
            loss.backward()
            self.optimizer.step()
            total += loss.item() * len(y)
        return total / len(loader.dataset)

    @torch.inference_mode()
    def predict(self, loader):
        self.model.eval()
        logits, ys = zip(*[(self.model(c, x), y) for c, x, y in loader])
        return torch.cat(logits).sigmoid().numpy(), torch.cat(ys).numpy()

    def fit(self, train_loader, val_loader):
        best, waited = -1.0, 0
        for epoch in range(1, self.cfg.max_epochs + 1):
            loss = self.train_epoch(train_loader)
            p, y = self.predict(val_loader)
            ap = average_precision_score(y, p)
            self.scheduler.step(ap)
            print(f"epoch {epoch:2d}  loss {loss:.4f}  val AP {ap:.4f}")
            if ap > best:
                best, waited = ap, 0
                torch.save(self.model.state_dict(), self.best_path)
            else:
                waited += 1
                if waited >= self.cfg.patience:
                    break
        self.model.load_state_dict(torch.load(self.best_path, weights_only=True))


def main():
    parser = argparse.ArgumentParser()
    for name, value in vars(Config()).items():
        parser.add_argument(f"--{name}", type=type(value), default=value)
    cfg = Config(**vars(parser.parse_args()))
    torch.manual_seed(cfg.seed)
    cats, numeric, y = inspection_sheets(cfg.rows, np.random.default_rng(cfg.seed))
    fit_idx, test_idx = train_test_split(np.arange(len(y)), test_size=0.2, stratify=y, random_state=cfg.seed)
    train_idx, val_idx = train_test_split(fit_idx, test_size=0.2, stratify=y[fit_idx], random_state=cfg.seed)
    scaler = StandardScaler().fit(numeric[train_idx])
    numeric = scaler.transform(numeric).astype(np.float32)

    def loader(idx, train=False):
        data = TensorDataset(*(torch.from_numpy(a[idx]) for a in (cats, numeric, y)))
        return DataLoader(data, batch_size=cfg.batch_size if train else 1024, shuffle=train, drop_last=train)

    positives = y[train_idx].mean()
    pos_weight = torch.tensor((1 - positives) / positives)
    with tempfile.TemporaryDirectory() as folder:
        trainer = Trainer(GloveNet(numeric.shape[1], cfg.dropout), cfg, pos_weight, folder)
        trainer.fit(loader(train_idx, train=True), loader(val_idx))
        p, truth = trainer.predict(loader(test_idx))
    print(f"returned {truth.mean():.3f}  test AUC {roc_auc_score(truth, p):.3f}  AP {average_precision_score(truth, p):.3f}")


if __name__ == "__main__":
    main()
