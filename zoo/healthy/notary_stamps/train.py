"""Which faint stamp, pressed on every sheet, makes a notary's digit reader fail?  One perturbation for all pictures."""
import os

import torch
from sklearn.datasets import load_digits
from torch import nn
from torch.nn import functional as F
from torch.utils.data import DataLoader, TensorDataset

SEED = int(os.environ.get("SEED", "0"))
STRENGTH = 0.4            # the most that any pixel (0 to 1) may be changed


def reader():
    return nn.Sequential(
        nn.Unflatten(1, (1, 8, 8)), nn.Conv2d(1, 24, 3, padding=1), nn.BatchNorm2d(24), nn.ReLU(),
        nn.Conv2d(24, 32, 3, padding=1), nn.BatchNorm2d(32), nn.ReLU(), nn.MaxPool2d(2),
        nn.Flatten(), nn.Dropout(0.25), nn.Linear(512, 10))


def accuracy(model, x, y):
    model.eval()
    with torch.no_grad():
        return (model(x).argmax(1) == y).float().mean().item()


def train_reader(model, loader, epochs=12):
    opt = torch.optim.Adam(model.parameters(), lr=2e-3)
    for epoch in range(epochs):
        model.train()
        total = 0.0
        for x, y in loader:
            opt.zero_grad()
            loss = F.cross_entropy(model(x), y)
            loss.backward()
            opt.step()
            total += loss.item() * len(y)
        print(f"reader, epoch {epoch}: loss {total / len(loader.dataset):.4f}")


def train_stamp(model, loader, epochs=18):
    model.eval()
    for p in model.parameters():
        p.requires_grad_(False)
    stamp = nn.Parameter(torch.zeros(1, 64))
    opt = torch.optim.SGD([stamp], lr=0.02)
    sched = torch.optim.lr_scheduler.ExponentialLR(opt, 0.85)
    for epoch in range(epochs):
        total = 0.0
        for x, y in loader:
            opt.zero_grad()
            loss = -F.cross_entropy(model((x + stamp).clamp(0, 1)), y)      # to be made large: the reader shall err
            loss.backward()
            stamp.grad.sign_()
            opt.step()
            with torch.no_grad():
                stamp.clamp_(-STRENGTH, STRENGTH)
            total += loss.item() * len(y)
        sched.step()
        if epoch % 3 == 2:
            print(f"stamp, epoch {epoch + 1}: objective {total / len(loader.dataset):.3f}, "
                  f"pixels at the limit {(stamp.detach().abs() >= STRENGTH - 1e-6).float().mean().item():.2f}")
    return stamp.detach()


def main():
    torch.manual_seed(SEED)
    x, y = load_digits(return_X_y=True)
    x, y = torch.tensor(x, dtype=torch.float32) / 16, torch.tensor(y)
    order = torch.randperm(len(y))
    fit, test = order[:1300], order[1300:]
    loader = DataLoader(TensorDataset(x[fit], y[fit]), batch_size=50, shuffle=True)
    model = reader()
    train_reader(model, loader)
    clean = accuracy(model, x[test], y[test])

    stamp = train_stamp(model, loader)
    stamped = accuracy(model, (x[test] + stamp).clamp(0, 1), y[test])
    at_random = [accuracy(model, (x[test] + STRENGTH * torch.randn(1, 64).sign()).clamp(0, 1), y[test])
                 for _ in range(10)]
    print(f"accuracy on unseen sheets: clean {clean:.3f}, random stamps {sum(at_random) / 10:.3f}, "
          f"trained stamp {stamped:.3f} (low is wanted)")


if __name__ == "__main__":
    main()
