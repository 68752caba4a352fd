"""Read the digit shown on a parking meter display (8x8 crops)."""
import argparse
import tempfile
from dataclasses import dataclass
from pathlib import Path

import torch
import torch.nn.functional as F
from sklearn.datasets import load_digits
from sklearn.model_selection import train_test_split
from torch import nn
from torch.utils.data import DataLoader, TensorDataset


@dataclass
class Config:
    epochs: int = 18
    batch_size: int = 64
    max_lr: float = 4e-3
    weight_decay: float = 1e-2
    seed: int = 7


def get_data(cfg):
    digits = load_digits()
    x = torch.tensor(digits.images, dtype=torch.float32).unsqueeze(1)
    y = torch.tensor(digits.target)
    idx = list(range(len(y)))
    train, rest = train_test_split(idx, test_size=0.3, stratify=y, random_state=cfg.seed)
    val, test = train_test_split(rest, test_size=0.5, stratify=y[rest], random_state=cfg.seed)
    mean, std = x[train].mean(), x[train].std()
    x = (x - mean) / std
    background = float(-mean / std)
    return [TensorDataset(x[i], y[i]) for i in (train, val, test)], background


class MeterNet(nn.Module):
    def __init__(self, n_classes=10):
        super().__init__()
        self.features = nn.Sequential(
            nn.Conv2d(1, 16, 3, padding=1, bias=False), nn.BatchNorm2d(16), nn.ReLU(),
            nn.Conv2d(16, 32, 3, padding=1, bias=False), nn.BatchNorm2d(32), nn.ReLU(),
            nn.MaxPool2d(2),
            nn.Conv2d(32, 64, 3, padding=1, bias=False), nn.BatchNorm2d(64), nn.ReLU(),
            nn.AdaptiveAvgPool2d(2), nn.Flatten(),
        )
        self.head = nn.Sequential(nn.Dropout(0.3), nn.Linear(256, n_classes))

    def forward(self, x):
        return self.head(self.features(x))


class Trainer:
    def __init__(self, model, cfg, loaders, workdir, background):
        self.model, self.cfg = model, cfg
        self.train_loader, self.val_loader, self.test_loader = loaders
        self.background = background
        self.ckpt = Path(workdir) / "best.pt"
        self.criterion = nn.CrossEntropyLoss()
        self.optimizer = torch.optim.AdamW(model.parameters(), lr=cfg.max_lr, weight_decay=cfg.weight_decay)
        self.scheduler = torch.optim.lr_scheduler.OneCycleLR(
            self.optimizer, max_lr=cfg.max_lr, total_steps=cfg.epochs * len(self.train_loader))

    def augment(self, x):
        dy, dx = torch.randint(0, 3, (2,)).tolist()
        padded = F.pad(x, (1, 1, 1, 1), value=self.background)
        return padded[:, :, dy:dy + 8, dx:dx + 8]

    def train_epoch(self):
        self.model.train()
        total, seen = 0.0, 0
        for x, y in self.train_loader:
            loss = self.criterion(self.model(self.augment(x)), y)
            self.optimizer.zero_grad(set_to_none=True)
            loss.backward()
            self.optimizer.step()
            self.scheduler.step()
            total, seen = total + loss.item() * len(y), seen + len(y)
        return total / seen

    @torch.inference_mode()
    def evaluate(self, loader):
        self.model.eval()
        loss, right, seen = 0.0, 0, 0
        for x, y in loader:
            logits = self.model(x)
            loss += F.cross_entropy(logits, y, reduction="sum").item()
            right += (logits.argmax(1) == y).sum().item()
            seen += len(y)
        return loss / seen, right / seen

    def fit(self):
        best = float("inf")
        for epoch in range(1, self.cfg.epochs + 1):
            train_loss = self.train_epoch()
            val_loss, val_acc = self.evaluate(self.val_loader)
            if val_loss < best:
                best = val_loss
                torch.save({"model": self.model.state_dict(), "epoch": epoch}, self.ckpt)
            print(f"epoch {epoch:2d}  train {train_loss:.4f}  val {val_loss:.4f}  acc {val_acc:.3f}")
        state = torch.load(self.ckpt, weights_only=True)
        self.model.load_state_dict(state["model"])
        return state["epoch"]


def main():
    parser = argparse.ArgumentParser()
    for name, default in vars(Config()).items():
        parser.add_argument(f"--{name}", type=type(default), default=default)
    cfg = Config(**vars(parser.parse_args()))
    torch.manual_seed(cfg.seed)
    (train, val, test), background = get_data(cfg)
    loaders = (DataLoader(train, cfg.batch_size, shuffle=True, drop_last=True),
               DataLoader(val, 256), DataLoader(test, 256))
    with tempfile.TemporaryDirectory() as workdir:
        trainer = Trainer(MeterNet(), cfg, loaders, workdir, background)
        epoch = trainer.fit()
    loss, acc = trainer.evaluate(loaders[2])
    print(f"restored epoch {epoch}; test loss {loss:.4f}  test accuracy {acc:.4f}")


if __name__ == "__main__":
    main()
