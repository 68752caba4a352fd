"""The clinic's machine is switched off each night: train, save, resume, finish.

To be sure that resuming is exact the script also trains once without a break
and compares the weights.
"""
import argparse
import os
import tempfile

import torch
from sklearn.datasets import load_breast_cancer
from sklearn.model_selection import train_test_split
from torch import nn


def parse():
    p = argparse.ArgumentParser()
    p.add_argument("--seed", type=int, default=int(os.environ.get("SEED", "0")))
    p.add_argument("--epochs", type=int, default=24)
    p.add_argument("--night-after", type=int, default=10)
    p.add_argument("--lr", type=float, default=1e-3)
    p.add_argument("--batch-size", type=int, default=16)
    return p.parse_args()


def make_model():
    return nn.Sequential(nn.Linear(30, 32), nn.LayerNorm(32), nn.GELU(),
                         nn.Linear(32, 16), nn.GELU(), nn.Linear(16, 1))


class Job:
    """All the state of a training run in one place."""

    def __init__(self, args):
        self.args = args
        self.generator = torch.Generator().manual_seed(args.seed)
        self.model = make_model()
        self.optimizer = torch.optim.AdamW(self.model.parameters(), lr=args.lr, weight_decay=0.05)
        self.scheduler = torch.optim.lr_scheduler.CosineAnnealingLR(self.optimizer, args.epochs)
        self.epoch = 0

    def save(self, path):
        torch.save({"model": self.model.state_dict(), "optimizer": self.optimizer.state_dict(),
                    "scheduler": self.scheduler.state_dict(),
                    "generator": self.generator.get_state(), "epoch": self.epoch}, path)

    def load(self, path):
        state = torch.load(path)
        self.model.load_state_dict(state["model"])
        self.optimizer.load_state_dict(state["optimizer"])
        self.scheduler.load_state_dict(state["scheduler"])
        self.generator.set_state(state["generator"])
        self.epoch = state["epoch"]

    def train(self, x, y, until):
        loss_fn = nn.BCEWithLogitsLoss()
        self.model.train()
        while self.epoch < until:
            order = torch.randperm(len(x), generator=self.generator)
            total = 0.0
            for idx in order.split(self.args.batch_size):
                self.optimizer.zero_grad()
                loss = loss_fn(self.model(x[idx]).squeeze(1), y[idx])
                loss.backward()
                self.optimizer.step()
                total += loss.item() * len(idx)
            self.scheduler.step()
            self.epoch += 1
            if self.epoch % 4 == 0:
                print(f"  epoch {self.epoch:2d}  loss {total / len(x):.4f}  lr {self.scheduler.get_last_lr()[0]:.2e}")

    @torch.no_grad()
    def report(self, x, y):
        self.model.eval()
        pred = (self.model(x).squeeze(1) > 0).float()
        tp = ((pred == 1) & (y == 1)).sum().item()
        fp = ((pred == 1) & (y == 0)).sum().item()
        fn = ((pred == 0) & (y == 1)).sum().item()
        return (pred == y).float().mean().item(), tp / (tp + fp), tp / (tp + fn)


def main():
    args = parse()
    X, y = load_breast_cancer(return_X_y=True)
    X_tr, X_te, y_tr, y_te = train_test_split(X, y, test_size=0.25, stratify=y, random_state=args.seed)
    mu, sd = X_tr.mean(0), X_tr.std(0)
    x_tr, x_te = (torch.tensor((a - mu) / sd, dtype=torch.float32) for a in (X_tr, X_te))
    y_tr, y_te = (torch.tensor(1 - a, dtype=torch.float32) for a in (y_tr, y_te))   # 1 = malignant

    with tempfile.TemporaryDirectory() as folder:
        path = os.path.join(folder, "evening.pt")
        print("first day")
        torch.manual_seed(args.seed)
        day_one = Job(args)
        day_one.train(x_tr, y_tr, until=args.night_after)
        day_one.save(path)

        print("second day, resumed")
        day_two = Job(args)
        day_two.load(path)
        day_two.train(x_tr, y_tr, until=args.epochs)

    print("control without a break")
    torch.manual_seed(args.seed)
    control = Job(args)
    control.train(x_tr, y_tr, until=args.epochs)
    gap = max((a - b).abs().max().item()
              for a, b in zip(day_two.model.parameters(), control.model.parameters()))
    acc, precision, recall = day_two.report(x_te, y_te)
    print(f"largest difference to the control {gap:.1e}")
    print(f"test accuracy {acc:.4f}  precision {precision:.3f}  recall {recall:.3f}")


if __name__ == "__main__":
    main()
