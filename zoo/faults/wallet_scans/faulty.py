# Lost property office: what kind of wallet was scanned? Own little framework with
# a registry, build_* functions and hooks that the runner calls.
import os
import random

import numpy as np
import torch
import torch.nn as nn
from sklearn.datasets import make_classification
from torch.utils.data import DataLoader, Dataset

HOOKS, MODELS = {}, {}


def register(where):
    def wrap(cls):
        where[cls.__name__] = cls
        return cls
    return wrap


class WalletScans(Dataset):
    def __init__(self, split, seed):
        x, y = make_classification(
            n_samples=3000, n_features=24, n_informative=12, n_redundant=4, n_classes=4,
            n_clusters_per_class=2, class_sep=1.6, random_state=seed)
        part = slice(0, 2200) if split == "train" else slice(2200, None)
        mean, std = x[:2200].mean(0), x[:2200].std(0)
        self.x = torch.tensor((x[part] - mean) / std, dtype=torch.float32)
        self.y = torch.tensor(y[part])

    def __len__(self):
        return len(self.y)

    def __getitem__(self, i):
        return self.x[i], self.y[i]


@register(MODELS)
class WalletNet(nn.Module):
    def __init__(self, n_in, width, classes, dropout):
        super().__init__()
        self.net = nn.Sequential(
            nn.Linear(n_in, width), nn.BatchNorm1d(width), nn.ReLU(), nn.Dropout(dropout),
            nn.Linear(width, width), nn.BatchNorm1d(width), nn.ReLU(), nn.Dropout(dropout),
            nn.Linear(width, classes))

    def forward(self, x):
        return self.net(x)


class Hook:
    def before_run(self, runner): ...
    def after_iter(self, runner): ...
    def after_epoch(self, runner): ...
    def after_run(self, runner): ...


@register(HOOKS)
class LoggerHook(Hook):
    def __init__(self, interval):
        self.interval, self.values = interval, []

    def after_iter(self, runner):
        self.values.append(runner.loss.item())

    def after_epoch(self, runner):
        if (runner.epoch + 1) % self.interval == 0:
            print(f"epoch {runner.epoch + 1}: loss {np.mean(self.values):.4f}")
        self.values.clear()


@register(HOOKS)
class SchedulerHook(Hook):
    def before_run(self, runner):
        self.scheduler = torch.optim.lr_scheduler.CosineAnnealingLR(runner.optimizer, runner.epochs)

    def after_epoch(self, runner):
        self.scheduler.step()


@register(HOOKS)
class EvalHook(Hook):
    def __init__(self, interval):
        self.interval = interval

    def evaluate(self, runner):
        loader = runner.loaders["val"]
        scores = runner.predict(loader)
        truth = torch.cat([y for _, y in loader])
        guess = scores.argmax(1)
        per_class = [(guess[truth == k] == k).float().mean().item() for k in truth.unique()]
        return (guess == truth).float().mean().item(), float(np.mean(per_class))

    def after_epoch(self, runner):
        if (runner.epoch + 1) % self.interval == 0:
            acc, balanced = self.evaluate(runner)
            print(f"  val: accuracy {acc:.4f} balanced {balanced:.4f}")

    def after_run(self, runner):
        acc, balanced = self.evaluate(runner)
        print(f"final: balanced {balanced:.4f} accuracy {acc:.4f}")


class Runner:
    def __init__(self, cfg, seed):
        self.epochs = cfg["epochs"]
        self.loaders = {s: build_loader(s, seed, **cfg["data"]) for s in ("train", "val")}
        model = dict(cfg["model"])
        self.model = MODELS[model.pop("type")](**model)
        self.optimizer = torch.optim.AdamW(self.model.parameters(), **cfg["optimizer"])
        self.criterion = nn.CrossEntropyLoss()
        self.hooks = [HOOKS[h["type"]](**{k: v for k, v in h.items() if k != "type"}) for h in cfg["hooks"]]

    def call(self, when):
        for hook in self.hooks:
            getattr(hook, when)(self)

    @torch.no_grad()
    def predict(self, loader):
        self.model.eval()
        return torch.cat([self.model(x).softmax(1) for x, _ in loader])

    def run(self):
        self.call("before_run")
        for self.epoch in range(self.epochs):
            self.model.train()
            for x, y in self.loaders["train"]:
                self.loss = self.criterion(self.model(x), y)
                self.optimizer.zero_grad()
                self.loss.backward()
                self.optimizer.step()
                self.call("after_iter")
            self.call("after_epoch")
        self.call("after_run")


def build_loader(split, seed, batch_size, num_workers):
    dataset = WalletScans(split, seed)
    return DataLoader(dataset, batch_size=batch_size, num_workers=num_workers, shuffle=True)


CONFIG = dict(
    epochs=25,
    data=dict(batch_size=50, num_workers=0),
    model=dict(type="WalletNet", n_in=24, width=96, classes=4, dropout=0.1),
    optimizer=dict(lr=2e-3, weight_decay=1e-2),
    hooks=[dict(type="LoggerHook", interval=5), dict(type="SchedulerHook"), dict(type="EvalHook", interval=5)],
)

if __name__ == "__main__":
    seed = int(os.environ.get("SEED", "0"))
    random.seed(seed)
    np.random.seed(seed)
    torch.manual_seed(seed)
    Runner(CONFIG, seed).run()
