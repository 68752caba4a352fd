"""Tell blurred, shifted postmarks apart: digits with random shifts and erased corners."""
import torch
import torch.nn.functional as F
from sklearn.datasets import load_digits
from torch import nn


def load():
    bunch = load_digits()
    pixels = torch.from_numpy(bunch.images).float().div(16).unsqueeze(1)
    target = torch.from_numpy(bunch.target)
    cut = torch.randperm(len(pixels), generator=torch.Generator().manual_seed(77))
    pixels, target = pixels[cut], target[cut]
    return pixels[:1300], target[:1300], pixels[1300:], target[1300:]


def augment(x):
    dx, dy = torch.randint(-1, 2, (2,)).tolist()
    x = torch.roll(x, (dy, dx), dims=(2, 3))
    erased = x.clone()
    erased[:, :, :2, :2] = 0
    return torch.where(torch.rand(len(x), 1, 1, 1) < 0.3, erased, x)


def build():
    return nn.Sequential(
        nn.Conv2d(1, 16, 3, padding=1), nn.BatchNorm2d(16), nn.ReLU(), nn.MaxPool2d(2),
        nn.Conv2d(16, 32, 3, padding=1), nn.BatchNorm2d(32), nn.ReLU(), nn.MaxPool2d(2),
        nn.Flatten(), nn.Dropout(0.1), nn.Linear(128, 10),
    )


def epochs(x, y, count, batch=50):
    for e in range(count):
        order = torch.randperm(len(x))
        x = x[order]
        for k in range(0, len(x), batch):
            yield e, augment(x[k : k + batch]), y[k : k + batch]


def test(model, x, y):
    model.eval()
    with torch.no_grad():
        logits = model(x)
    model.train()
    return (logits.argmax(1) == y).float().mean().item(), F.cross_entropy(logits, y).item()


def run(seed=6, count=10):
    torch.manual_seed(seed)
    x_train, y_train, x_test, y_test = load()
    model = build()
    optimizer = torch.optim.Adam(model.parameters(), lr=3e-3)
    last = 0
    for e, xb, yb in epochs(x_train, y_train, count):
        if e != last:
            acc, loss_test = test(model, x_test, y_test)
            print(f"after epoch {e}: loss {loss.item():.3f} test loss {loss_test:.3f} test acc {acc:.3f}")
            last = e
        loss = F.cross_entropy(model(xb), yb)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
    acc, _ = test(model, x_test, y_test)
    print(f"end: test acc {acc:.3f}")


run()
