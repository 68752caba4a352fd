"""Colony shapes on culture plates: the scans are kept in one archive, the strains in a table beside it."""
import csv
import io

import numpy as np
import torch
from torch import nn

STRAINS = ["smooth", "lobed", "ring", "branched"]


def scan(strain, rng, size=16):
    yy, xx = np.mgrid[:size, :size] - (size - 1) / 2 - rng.uniform(-2, 2, (2, 1, 1))
    r, a = np.hypot(yy, xx), np.arctan2(yy, xx) + rng.uniform(0, 2 * np.pi)
    radius = rng.uniform(4, 6)
    if strain == "smooth":
        shape = r < radius
    elif strain == "lobed":
        shape = r < radius * (1 + 0.35 * np.sin(3 * a))
    elif strain == "ring":
        shape = (r < radius) & (r > 0.55 * radius)
    else:
        shape = (np.sin(5 * a + r) > 0.3) & (r < radius + 1)
    return (120 + 60 * shape + rng.normal(0, 12, (size, size))).clip(0, 255).astype(np.uint8)


def write_library(n, seed):
    """What the laboratory hands over: plates.npz and strains.csv."""
    rng = np.random.default_rng(seed)
    strains = rng.choice(STRAINS, n)
    plates, table = io.BytesIO(), io.StringIO()
    np.savez(plates, **{f"plate_{i + 1}": scan(s, rng) for i, s in enumerate(strains)})
    writer = csv.writer(table)
    writer.writerow(["plate", "strain"])
    writer.writerows((i + 1, s) for i, s in enumerate(strains))
    plates.seek(0)
    table.seek(0)
    return plates, table


def load_library(plates, table):
    archive = np.load(plates)
    names = sorted(archive.files, key=lambda name: int(name.split("_")[1]))
    images = np.stack([archive[name] for name in names])
    labels = [STRAINS.index(row["strain"]) for row in csv.DictReader(table)]
    return torch.from_numpy(images).float().div(255).unsqueeze(1), torch.tensor(labels)


class ColonyNet(nn.Module):
    def __init__(self):
        super().__init__()
        self.stem = nn.Sequential(nn.Conv2d(1, 12, 3, padding=1), nn.BatchNorm2d(12), nn.ReLU(), nn.MaxPool2d(2))
        self.mid = nn.Sequential(nn.Conv2d(12, 24, 3, padding=1), nn.BatchNorm2d(24), nn.ReLU(), nn.MaxPool2d(2))
        self.head = nn.Linear(24 * 16, len(STRAINS))

    def forward(self, x):
        return self.head(self.mid(self.stem(x)).flatten(1))


torch.manual_seed(27)
images, labels = load_library(*write_library(900, seed=27))
order = torch.randperm(len(images))
fit_rows, test_rows = order[:700], order[700:]
mean, std = images[fit_rows].mean(), images[fit_rows].std()
images = (images - mean) / std

net = ColonyNet()
optim = torch.optim.Adam(net.parameters(), lr=1e-3)
for epoch in range(1, 9):
    net.train()
    for rows in fit_rows[torch.randperm(len(fit_rows))].split(28):
        loss = nn.functional.cross_entropy(net(images[rows]), labels[rows])
        optim.zero_grad()
        loss.backward()
        optim.step()
    net.eval()
    with torch.no_grad():
        guess = net(images[test_rows]).argmax(1)
    print(f"epoch {epoch}  loss {loss.item():.3f}  accuracy {(guess == labels[test_rows]).float().mean():.3f}")
