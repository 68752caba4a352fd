"""A feature extractor learned on rendered cloth serves to sort scanned tiles, of which only a few are labelled."""
import argparse

import numpy as np
import torch
import torch.nn.functional as F
from torch import nn


def pattern(rng, angle, tint, size=18):
    i, j = np.mgrid[0:size, 0:size] / size
    phase = rng.uniform(0, 2 * np.pi)
    wave = np.sin(2 * np.pi * 3 * (i * np.cos(angle) + j * np.sin(angle)) + phase)
    img = 0.5 + 0.22 * wave[:, :, None] * tint + 0.12 * rng.normal(size=(size, size, 3))
    return img.clip(0, 1)


def rendered(rng, n):
    """Twelve classes: four directions, three tints."""
    label = rng.integers(0, 12, n)
    tints = np.eye(3) * 0.7 + 0.3
    imgs = np.stack([pattern(rng, (c % 4) * np.pi / 4, tints[c // 4]) for c in label])
    x = torch.tensor(imgs, dtype=torch.float32).permute(0, 3, 1, 2)
    return x, torch.tensor(label)


def scanned(rng, n):
    """As the scanner stores them: bytes, row by row, pixel by pixel."""
    label = rng.integers(0, 6, n)
    tints = np.array([[1.0, 1.0, 0.4], [0.4, 1.0, 1.0]])
    imgs = np.stack([pattern(rng, (c % 3) * np.pi / 3 + 0.2, tints[c // 3]) for c in label])
    return (imgs * 255).astype(np.uint8), label


def to_input(raw):
    return torch.from_numpy(raw).float().div(255).permute(0, 3, 1, 2)


def backbone():
    return nn.Sequential(
        nn.Conv2d(3, 16, 3), nn.ReLU(), nn.MaxPool2d(2),
        nn.Conv2d(16, 32, 3), nn.ReLU(), nn.AdaptiveAvgPool2d(1), nn.Flatten(),
    )  # fmt: skip


def fit(net, params, x, y, steps, lr, batch=32):
    opt = torch.optim.Adam(params, lr=lr)
    for step in range(1, steps + 1):
        pick = torch.randint(0, len(x), (batch,))
        loss = F.cross_entropy(net(x[pick] - 0.5), y[pick])
        opt.zero_grad()
        loss.backward()
        opt.step()
        if step % 100 == 0:
            print(f"  step {step} loss {loss.item():.3f}")


def accuracy(net, x, y):
    net.eval()
    with torch.no_grad():
        return (net(x - 0.5).argmax(1) == y).float().mean().item()


def main(args):
    np.random.seed(args.seed)
    torch.manual_seed(args.seed)
    rng = np.random.default_rng(np.random.randint(1 << 30))

    features = backbone()
    source = nn.Sequential(features, nn.Linear(32, 12))
    x, y = rendered(rng, 1000)
    fit(source, source.parameters(), x, y, args.pretrain_steps, lr=3e-3)
    print(f"rendered cloth {accuracy(source, *rendered(rng, 300)):.3f}")

    features.requires_grad_(False)
    net = nn.Sequential(features, nn.Linear(32, 6))
    raw, label = scanned(rng, 120)
    test_raw, test_label = scanned(rng, 400)
    fit(net, net[1].parameters(), to_input(raw), torch.from_numpy(label), args.steps, lr=1e-2)
    print(f"scanned tiles {accuracy(net, to_input(test_raw), torch.from_numpy(test_label)):.3f}")


if __name__ == "__main__":
    cli = argparse.ArgumentParser()
    cli.add_argument("--seed", type=int, default=0)
    cli.add_argument("--pretrain-steps", type=int, default=400)
    cli.add_argument("--steps", type=int, default=300)
    main(cli.parse_args())
