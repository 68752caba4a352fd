"""Self-training on stamp numerals: 40 labelled images, 1257 unlabelled ones.

Round 0 learns from the labels alone.  Every later round starts a new student
from scratch on the labels and its teacher's most confident pseudo-labels, a
larger share of the pool each time.
"""
import os

import torch
import torch.nn as nn
import torch.nn.functional as F
from sklearn.datasets import load_digits

SEED = int(os.environ.get("SEED", "0"))
PER_CLASS, STEPS = 4, 200
SHARES = (0.4, 0.6, 0.8, 1.0)          # of the pool, the most confident first, equal over the classes


def split(images, labels, gen):
    order = torch.randperm(len(labels), generator=gen)
    test, pool = order[:500], order[500:]
    chosen = torch.cat([pool[labels[pool] == c][:PER_CLASS] for c in range(10)])
    rest = pool[~torch.isin(pool, chosen)]
    return chosen, rest, test


def jitter(x):
    """Every image is shifted by up to one pixel, some noise is added."""
    padded = F.pad(x, (1, 1, 1, 1))
    n = len(x)
    dx, dy = torch.randint(0, 3, (2, n))
    row = (torch.arange(8) + dy[:, None])[:, :, None]
    col = (torch.arange(8) + dx[:, None])[:, None, :]
    shifted = padded[torch.arange(n)[:, None, None], 0, row, col].unsqueeze(1)
    return shifted + 0.1 * torch.randn_like(shifted)


def student():
    return nn.Sequential(
        nn.Conv2d(1, 16, 3, padding=1), nn.ReLU(),
        nn.Conv2d(16, 32, 3, padding=1), nn.ReLU(), nn.MaxPool2d(2),
        nn.Flatten(), nn.Dropout(0.4), nn.Linear(32 * 16, 10))


def train(x_lab, y_lab, x_pseudo=None, y_pseudo=None):
    net = student()
    optimizer = torch.optim.Adam(net.parameters(), lr=2e-3)
    scheduler = torch.optim.lr_scheduler.CosineAnnealingLR(optimizer, STEPS)
    net.train()
    for _ in range(STEPS):
        loss = F.cross_entropy(net(jitter(x_lab)), y_lab)
        if x_pseudo is not None:
            idx = torch.randint(0, len(y_pseudo), (64,))
            loss = loss + F.cross_entropy(net(jitter(x_pseudo[idx])), y_pseudo[idx])
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        scheduler.step()
    return net.eval()


@torch.no_grad()
def most_confident(net, x, share):
    """Positions and guesses: the surest ones of every guessed class."""
    confidence, guess = net(x).softmax(1).max(1)
    keep = []
    for c in range(10):
        mine = torch.nonzero(guess == c).squeeze(1)
        surest = mine[confidence[mine].argsort(descending=True)]
        keep.append(surest[:round(share * len(x) / 10)])
    keep = torch.cat(keep)
    return keep, guess[keep]


@torch.no_grad()
def accuracy(net, x, y):
    return (net(x).argmax(1) == y).float().mean().item()


def main():
    torch.manual_seed(SEED)
    digits = load_digits()
    images = torch.tensor(digits.images, dtype=torch.float32).unsqueeze(1) / 16
    labels = torch.tensor(digits.target)
    lab, unl, test = split(images, labels, torch.Generator().manual_seed(SEED))
    print(f"{len(lab)} labelled, {len(unl)} unlabelled, {len(test)} test")

    net = train(images[lab], labels[lab])
    first = accuracy(net, images[test], labels[test])
    print(f"round 0: labels only, test accuracy {first:.4f}")
    for r, share in enumerate(SHARES, start=1):
        keep, guess = most_confident(net, images[unl], share)
        purity = (guess == labels[unl][keep]).float().mean().item()            # for the log only
        net = train(images[lab], labels[lab], images[unl][keep], guess)
        last = accuracy(net, images[test], labels[test])
        print(f"round {r}: {len(keep)} pseudo-labels, {purity:.3f} of them right, test accuracy {last:.4f}")
    print(f"labels only {first:.4f} -> self-trained {last:.4f}")


if __name__ == "__main__":
    main()
