"""Sharpness-aware minimization on few digits, beside plain SGD of the same length; mean of three trainings."""
import os

import torch
from sklearn.datasets import load_digits
from torch import nn

SEED = int(os.environ.get("SEED", "0"))


class SAM(torch.optim.Optimizer):
    def __init__(self, params, rho=0.05, **kwargs):
        super().__init__(params, dict(rho=rho))
        self.base = torch.optim.SGD(self.param_groups, **kwargs)
        self.param_groups = self.base.param_groups

    @torch.no_grad()
    def climb(self):
        grads = [p.grad.norm() for g in self.param_groups for p in g["params"] if p.grad is not None]
        norm = torch.stack(grads).norm() + 1e-12
        for group in self.param_groups:
            for p in group["params"]:
                if p.grad is None:
                    continue
                e = p.grad * (group["rho"] / norm)
                p.add_(e)
                self.state[p]["e"] = e
        self.zero_grad()

    @torch.no_grad()
    def descend(self):
        for group in self.param_groups:
            for p in group["params"]:
                if "e" in self.state[p]:
                    p.sub_(self.state[p].pop("e"))
        self.base.step()
        self.zero_grad()


def norm_momentum(model, value):
    for m in model.modules():
        if isinstance(m, nn.BatchNorm2d):
            m.momentum = value


def build():
    return nn.Sequential(nn.Conv2d(1, 16, 3, padding=1), nn.BatchNorm2d(16), nn.ReLU(), nn.MaxPool2d(2),
                         nn.Conv2d(16, 32, 3, padding=1), nn.BatchNorm2d(32), nn.ReLU(),
                         nn.Flatten(), nn.Linear(32 * 16, 10))


def fit(x, y, use_sam, seed, epochs=30):
    torch.manual_seed(seed)
    model = build()
    settings = dict(lr=0.05, momentum=0.9, weight_decay=1e-3)
    opt = SAM(model.parameters(), rho=0.1, **settings) if use_sam else torch.optim.SGD(model.parameters(), **settings)
    sched = torch.optim.lr_scheduler.CosineAnnealingLR(opt.base if use_sam else opt, epochs)
    loss_fn = nn.CrossEntropyLoss()
    for epoch in range(epochs):
        model.train()
        for idx in torch.randperm(len(x)).split(32):
            loss = loss_fn(model(x[idx]), y[idx])
            loss.backward()
            if use_sam:
                opt.climb()
                norm_momentum(model, 0.0)
                loss_fn(model(x[idx]), y[idx]).backward()
                norm_momentum(model, 0.1)
                opt.descend()
            else:
                opt.step()
                opt.zero_grad()
        sched.step()
    return model.eval(), loss.item()


def main():
    data = load_digits()
    x = torch.tensor(data.images / 16.0, dtype=torch.float32).unsqueeze(1)
    y = torch.tensor(data.target)
    order = torch.randperm(len(x), generator=torch.Generator().manual_seed(SEED))
    train, test = order[:400], order[400:]
    for name, use_sam in (("SGD", False), ("SAM", True)):
        scores = []
        for k in range(3):
            model, last = fit(x[train], y[train], use_sam, seed=SEED * 10 + k)
            with torch.no_grad():
                scores.append((model(x[test]).argmax(1) == y[test]).float().mean().item())
            print(f"{name} training {k}: last loss {last:.4f} test accuracy {scores[-1]:.4f}")
        print(f"{name}: mean test accuracy {sum(scores) / 3:.4f}")


main()
