"""Digits on stadium tickets: a small convolutional net, interrupted in the middle and resumed from a checkpoint."""
import os
import tempfile

import torch
import torch.nn.functional as F
from sklearn.datasets import load_digits
from sklearn.model_selection import train_test_split
from torch import nn

SEED = int(os.environ.get("SEED", "0"))
EPOCHS, BREAK_AFTER, BATCH = 16, 8, 50


def net():
    return nn.Sequential(
        nn.Conv2d(1, 16, 3, padding=1, bias=False), nn.BatchNorm2d(16), nn.ReLU(),
        nn.Conv2d(16, 32, 3, padding=1, bias=False), nn.BatchNorm2d(32), nn.ReLU(), nn.MaxPool2d(2),
        nn.Conv2d(32, 32, 3, padding=1, bias=False), nn.BatchNorm2d(32), nn.ReLU(), nn.AdaptiveAvgPool2d(2),
        nn.Flatten(), nn.Dropout(0.2), nn.Linear(128, 10))


def build(steps_per_epoch):
    model = net()
    opt = torch.optim.SGD(model.parameters(), lr=0.2, momentum=0.9, weight_decay=5e-4, nesterov=True)
    sched = torch.optim.lr_scheduler.OneCycleLR(opt, max_lr=0.2, total_steps=EPOCHS * steps_per_epoch)
    return model, opt, sched


def moved(x):
    """Every picture of the batch is moved by up to one pixel."""
    padded = F.pad(x, (1, 1, 1, 1))
    out = torch.empty_like(x)
    for i, (dy, dx) in enumerate(torch.randint(0, 3, (len(x), 2)).tolist()):
        out[i] = padded[i, :, dy:dy + 8, dx:dx + 8]
    return out


def train_epochs(first, last, model, opt, sched, x, y):
    for epoch in range(first, last):
        model.train()
        total, right = 0.0, 0
        for idx in torch.randperm(len(x)).split(BATCH):
            opt.zero_grad(set_to_none=True)
            out = model(moved(x[idx]))
            loss = F.cross_entropy(out, y[idx])
            loss.backward()
            opt.step()
            sched.step()
            total += loss.item() * len(idx)
            right += (out.argmax(1) == y[idx]).sum().item()
        print(f"epoch {epoch:2d} loss {total / len(x):.4f} train accuracy {right / len(x):.3f} "
              f"lr {sched.get_last_lr()[0]:.4f}")


@torch.no_grad()
def accuracy(model, x, y):
    model.eval()
    return (model(x).argmax(1) == y).float().mean().item()


def main():
    torch.manual_seed(SEED)
    data, target = load_digits(return_X_y=True)
    xtr, xte, ytr, yte = train_test_split(data, target, test_size=0.25, random_state=SEED, stratify=target)
    to_image = lambda a: torch.tensor(a / 16.0, dtype=torch.float32).view(-1, 1, 8, 8)
    xtr, xte = to_image(xtr), to_image(xte)
    ytr, yte = torch.tensor(ytr), torch.tensor(yte)
    steps = -(-len(xtr) // BATCH)

    with tempfile.TemporaryDirectory() as folder:
        path = os.path.join(folder, "checkpoint.pt")
        model, opt, sched = build(steps)
        train_epochs(0, BREAK_AFTER, model, opt, sched, xtr, ytr)
        torch.save({"epoch": BREAK_AFTER, "model": model.state_dict(), "opt": opt.state_dict(),
                    "sched": sched.state_dict(), "rng": torch.get_rng_state()}, path)
        before = accuracy(model, xte, yte)
        del model, opt, sched

        print("... the night ends; in the morning:")
        saved = torch.load(path)
        model, opt, sched = build(steps)
        model.load_state_dict(saved["model"])
        opt.load_state_dict(saved["opt"])
        sched.load_state_dict(saved["sched"])
        torch.set_rng_state(saved["rng"])
        assert accuracy(model, xte, yte) == before
        train_epochs(saved["epoch"], EPOCHS, model, opt, sched, xtr, ytr)
    print(f"test accuracy: at the break {before:.3f}, at the end {accuracy(model, xte, yte):.3f}")


if __name__ == "__main__":
    main()
