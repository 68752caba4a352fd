"""Forgers change stamps a little.  Adversarial training (PGD) of a digit reader, beside the plain training."""
import os

import torch
import torch.nn.functional as F
from sklearn.datasets import load_digits
from torch import nn

SEED = int(os.environ.get("SEED", "0"))
EPS = 0.12


def forge(model, x, y, steps, rate):
    """Projected gradient ascent on the input, at most EPS away from it."""
    was_training = model.training
    model.eval()
    delta = torch.empty_like(x).uniform_(-EPS, EPS)
    for _ in range(steps):
        delta.requires_grad_(True)
        loss = F.cross_entropy(model((x + delta).clamp(0, 1)), y)
        g, = torch.autograd.grad(loss, delta)
        delta = (delta.detach() + rate * g.sign()).clamp(-EPS, EPS)
    model.train(was_training)
    return (x + delta).clamp(0, 1)


def build():
    return nn.Sequential(nn.Conv2d(1, 20, 3, padding=1, bias=False), nn.BatchNorm2d(20), nn.ReLU(),
                         nn.Conv2d(20, 40, 3, padding=1, stride=2, bias=False), nn.BatchNorm2d(40), nn.ReLU(),
                         nn.Flatten(), nn.Linear(640, 64), nn.ReLU(), nn.Linear(64, 10))


def train(x, y, robust, epochs):
    model = build()
    opt = torch.optim.Adam(model.parameters(), lr=2e-3)
    sched = torch.optim.lr_scheduler.CosineAnnealingLR(opt, epochs)
    for epoch in range(epochs):
        model.train()
        total = 0.0
        for idx in torch.randperm(len(x)).split(64):
            xb, yb = x[idx], y[idx]
            if robust:
                xb = forge(model, xb, yb, steps=4, rate=0.05)
            loss = F.cross_entropy(model(xb), yb)
            opt.zero_grad()
            loss.backward()
            opt.step()
            total += loss.item() * len(idx)
        sched.step()
        if epoch % 5 == 0:
            print(f"  epoch {epoch} loss {total / len(x):.4f}")
    return model.eval()


def report(name, model, x, y):
    attacked = forge(model, x, y, steps=15, rate=0.03)
    with torch.no_grad():
        clean = (model(x).argmax(1) == y).float().mean().item()
        hard = (model(attacked).argmax(1) == y).float().mean().item()
    print(f"{name}: test accuracy {clean:.3f}, on forged stamps {hard:.3f}")


def main():
    torch.manual_seed(SEED)
    data = load_digits()
    x = torch.tensor(data.images / 16.0, dtype=torch.float32).unsqueeze(1)
    y = torch.tensor(data.target)
    order = torch.randperm(len(x))
    tr, te = order[:1300], order[1300:]
    print("plain training")
    plain = train(x[tr], y[tr], robust=False, epochs=15)
    print("adversarial training")
    robust = train(x[tr], y[tr], robust=True, epochs=25)
    report("plain", plain, x[te], y[te])
    report("robust", robust, x[te], y[te])


if __name__ == "__main__":
    main()
