"""Read the hand-written numbers on ceramic tiles (8x8 scans) with a small residual network."""
import argparse
import math
from dataclasses import dataclass

import numpy as np
import torch
import torch.nn.functional as F
from sklearn.datasets import load_digits
from sklearn.model_selection import train_test_split
from torch import nn
from torch.utils.data import DataLoader, TensorDataset


@dataclass
class Config:
    epochs: int = 12
    micro_batch: int = 32
    accumulate: int = 2
    lr: float = 4e-3
    weight_decay: float = 1e-2
    warmup: int = 25
    seed: int = 7


class Residual(nn.Module):
    def __init__(self, width):
        super().__init__()
        self.body = nn.Sequential(
            nn.Conv2d(width, width, 3, padding=1, bias=False), nn.GroupNorm(4, width), nn.ReLU(),
            nn.Conv2d(width, width, 3, padding=1, bias=False), nn.GroupNorm(4, width))

    def forward(self, x):
        return F.relu(x + self.body(x))


class TileNet(nn.Module):
    def __init__(self, classes=10):
        super().__init__()
        self.stem = nn.Sequential(nn.Conv2d(1, 16, 3, padding=1, bias=False), nn.GroupNorm(4, 16), nn.ReLU())
        self.stage1 = Residual(16)
        self.down = nn.Conv2d(16, 32, 3, stride=2, padding=1)
        self.stage2 = Residual(32)
        self.head = nn.Sequential(nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Dropout(0.1), nn.Linear(32, classes))

    def forward(self, x):
        return self.head(self.stage2(F.relu(self.down(self.stage1(self.stem(x))))))


def random_shift(x, pad=1):
    """Move every image of the batch by up to `pad` pixels."""
    padded = F.pad(x, (pad,) * 4, value=float(x.min()))
    out = torch.empty_like(x)
    offsets = torch.randint(0, 2 * pad + 1, (len(x), 2)).tolist()
    for i, (r, c) in enumerate(offsets):
        out[i] = padded[i, :, r:r + x.shape[2], c:c + x.shape[3]]
    return out


class Trainer:
    def __init__(self, cfg, model, train_loader, val_loader):
        self.cfg, self.model = cfg, model
        self.train_loader, self.val_loader = train_loader, val_loader
        decay = [p for p in model.parameters() if p.ndim > 1]
        plain = [p for p in model.parameters() if p.ndim <= 1]
        self.opt = torch.optim.AdamW([{"params": decay, "weight_decay": cfg.weight_decay},
                                      {"params": plain, "weight_decay": 0.0}], lr=cfg.lr)
        total = cfg.epochs * math.ceil(len(train_loader) / cfg.accumulate)

        def factor(step):
            if step < cfg.warmup:
                return (step + 1) / cfg.warmup
            progress = (step - cfg.warmup) / max(1, total - cfg.warmup)
            return 0.02 + 0.98 * 0.5 * (1 + math.cos(math.pi * progress))
        self.sched = torch.optim.lr_scheduler.LambdaLR(self.opt, factor)

    def train_epoch(self):
        self.model.train()
        batches, running, seen = list(self.train_loader), 0.0, 0
        for start in range(0, len(batches), self.cfg.accumulate):
            group = batches[start:start + self.cfg.accumulate]
            count = sum(len(y) for _, y in group)
            self.opt.zero_grad(set_to_none=True)
            for x, y in group:
                logits = self.model(random_shift(x))
                loss = F.cross_entropy(logits, y, reduction="sum", label_smoothing=0.05)
                (loss / count).backward()
                running += loss.item()
                seen += len(y)
            nn.utils.clip_grad_norm_(self.model.parameters(), 5.0)
            self.opt.step()
            self.sched.step()
        return running / seen

    @torch.no_grad()
    def evaluate(self):
        self.model.eval()
        hits = sum((self.model(x).argmax(1) == y).sum().item() for x, y in self.val_loader)
        return hits / len(self.val_loader.dataset)

    def fit(self):
        for epoch in range(self.cfg.epochs):
            loss = self.train_epoch()
            print(f"epoch {epoch:2d}  loss {loss:.3f}  val acc {self.evaluate():.4f}")


def main():
    parser = argparse.ArgumentParser()
    for name, value in Config().__dict__.items():
        parser.add_argument(f"--{name}", type=type(value), default=value)
    cfg = Config(**vars(parser.parse_args()))
    torch.manual_seed(cfg.seed)
    np.random.seed(cfg.seed)

    digits = load_digits()
    x_tr, x_va, y_tr, y_va = train_test_split(digits.images, digits.target, test_size=0.25,
                                              stratify=digits.target, random_state=cfg.seed)
    mean, std = x_tr.mean(), x_tr.std()

    def pack(x, y):
        return TensorDataset(torch.tensor((x - mean) / std, dtype=torch.float32).unsqueeze(1), torch.tensor(y))
    train_loader = DataLoader(pack(x_tr, y_tr), batch_size=cfg.micro_batch, shuffle=True)
    val_loader = DataLoader(pack(x_va, y_va), batch_size=256)
    trainer = Trainer(cfg, TileNet(), train_loader, val_loader)
    trainer.fit()
    print(f"final validation accuracy {trainer.evaluate():.4f}")


if __name__ == "__main__":
    main()
