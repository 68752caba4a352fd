import torch
import torch.nn as nn
from sklearn.datasets import load_digits
from torch.utils.data import DataLoader, TensorDataset


def load():
    d = load_digits()
    g = torch.Generator().manual_seed(99)
    p = torch.randperm(len(d.target), generator=g)
    x = torch.tensor(d.images, dtype=torch.float32)[p].unsqueeze(1) / 16 - 0.3
    y = torch.tensor(d.target)[p]
    return TensorDataset(x[:1440], y[:1440]), TensorDataset(x[1440:], y[1440:])


def forever(loader):
    while True:
        yield from loader


def main(total_steps=500, every=50):
    torch.manual_seed(99)
    train, test = load()
    loader = DataLoader(train, batch_size=40)
    model = nn.Sequential(
        nn.Conv2d(1, 10, 3), nn.BatchNorm2d(10), nn.ReLU(), nn.Conv2d(10, 20, 3), nn.ReLU(), nn.Flatten(), nn.Linear(320, 10)
    )
    opt = torch.optim.Adam(model.parameters(), lr=2e-3)
    sched = torch.optim.lr_scheduler.OneCycleLR(opt, max_lr=5e-3, total_steps=total_steps)
    for step in range(1, total_steps + 1):
        model.train()
        x, y = next(iter(loader))
        opt.zero_grad()
        loss = nn.functional.cross_entropy(model(x), y)
        loss.backward()
        opt.step()
        sched.step()
        if step % every == 0:
            model.eval()
            xt, yt = test.tensors
            with torch.no_grad():
                out = model(xt)
            acc = (out.argmax(1) == yt).float().mean().item()
            print(f"step {step} loss {loss.item():.4f} test loss {nn.functional.cross_entropy(out, yt):.4f} acc {acc:.3f}")


main()
