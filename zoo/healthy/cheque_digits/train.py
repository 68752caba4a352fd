import time

import torch
from sklearn.datasets import load_digits
from sklearn.model_selection import train_test_split
from torch import nn
from torch.nn import functional as F


class Config:
    seed = 33
    epochs = 8
    batch = 48
    lr = 0.08
    momentum = 0.9
    weight_decay = 1e-3
    smoothing = 0.1
    shift = 1  # pixels


class ConvBlock(nn.Module):
    def __init__(self, c_in, c_out, stride=1):
        super().__init__()
        self.conv = nn.Conv2d(c_in, c_out, 3, stride, padding=1, bias=False)
        self.norm = nn.BatchNorm2d(c_out)

    def forward(self, x):
        return F.relu(self.norm(self.conv(x)), inplace=True)


class Reader(nn.Module):
    def __init__(self, n_classes=10):
        super().__init__()
        self.features = nn.Sequential(ConvBlock(1, 16), ConvBlock(16, 32, 2), ConvBlock(32, 32), ConvBlock(32, 64, 2))
        self.head = nn.Linear(64, n_classes)

    def forward(self, x):
        return self.head(self.features(x).mean(dim=(2, 3)))


class Trainer:
    def __init__(self, cfg):
        self.cfg = cfg
        torch.manual_seed(cfg.seed)
        images, labels = load_digits(return_X_y=True)
        parts = train_test_split(images, labels, test_size=0.25, stratify=labels, random_state=cfg.seed)
        self.x, self.x_test = (torch.tensor(p, dtype=torch.float32).reshape(-1, 1, 8, 8) / 16 for p in parts[:2])
        self.y, self.y_test = (torch.as_tensor(p) for p in parts[2:])
        self.model = Reader()
        decay = [p for p in self.model.parameters() if p.dim() > 1]
        plain = [p for p in self.model.parameters() if p.dim() <= 1]
        self.optimizer = torch.optim.SGD(
            [{"params": decay, "weight_decay": cfg.weight_decay}, {"params": plain}],
            lr=cfg.lr, momentum=cfg.momentum, nesterov=True,
        )  # fmt: skip
        self.per_epoch = len(self.x) // cfg.batch
        total = cfg.epochs * self.per_epoch
        warm = torch.optim.lr_scheduler.LinearLR(self.optimizer, 0.1, total_iters=self.per_epoch)
        fall = torch.optim.lr_scheduler.LinearLR(self.optimizer, 1.0, 0.01, total_iters=total - self.per_epoch)
        self.scheduler = torch.optim.lr_scheduler.SequentialLR(self.optimizer, [warm, fall], [self.per_epoch])

    def jitter(self, x):
        s = self.cfg.shift
        dy, dx = torch.randint(0, 2 * s + 1, (2,)).tolist()
        return F.pad(x, (s, s, s, s))[:, :, dy : dy + 8, dx : dx + 8]

    def one_epoch(self):
        self.model.train()
        running = torch.zeros(())
        for rows in torch.randperm(len(self.x)).split(self.cfg.batch)[: self.per_epoch]:
            with torch.autocast("cpu", dtype=torch.bfloat16):
                logits = self.model(self.jitter(self.x[rows]))
            loss = F.cross_entropy(logits.float(), self.y[rows], label_smoothing=self.cfg.smoothing)
            self.optimizer.zero_grad()
            loss.backward()
            self.optimizer.step()
            self.scheduler.step()
            running += loss.detach()
        return (running / self.per_epoch).item()

    @torch.inference_mode()
    def accuracy(self):
        self.model.eval()
        with torch.autocast("cpu", dtype=torch.bfloat16):
            return (self.model(self.x_test).argmax(1) == self.y_test).float().mean().item()

    def fit(self):
        for epoch in range(self.cfg.epochs):
            began = time.perf_counter()
            loss = self.one_epoch()
            print(f"[{epoch}] loss={loss:.3f} test_acc={self.accuracy():.4f} ({time.perf_counter() - began:.1f}s)")


if __name__ == "__main__":
    Trainer(Config).fit()
