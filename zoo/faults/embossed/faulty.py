"""Reuse a network that tells 0 from 1 for all ten digits in an embossed rendering; features are tapped by hooks."""
import torch
import torch.nn.functional as F
from sklearn.datasets import load_digits
from sklearn.model_selection import train_test_split
from torch import nn


class Backbone(nn.Sequential):
    def __init__(self, out=2):
        super().__init__()
        self.add_module("stem", nn.Sequential(nn.Conv2d(1, 12, 3, padding=1), nn.ReLU(), nn.MaxPool2d(2)))
        self.add_module("deep", nn.Sequential(nn.Conv2d(12, 24, 3, padding=1), nn.ReLU(), nn.MaxPool2d(2)))
        self.add_module("flat", nn.Flatten())
        self.add_module("logits", nn.Linear(96, out))


class Tapped(nn.Module):
    """A classifier on the outputs of named stages of another network."""

    def __init__(self, backbone, stages, classes):
        super().__init__()
        self.backbone = backbone
        self.maps = {}
        for name in stages:
            backbone.get_submodule(name).register_forward_hook(self.keep(name))
        self.head = nn.LazyLinear(classes)

    def keep(self, name):
        def hook(module, args, output):
            self.maps[name] = output.detach()

        return hook

    def forward(self, x):
        self.backbone(x)
        pooled = [F.adaptive_avg_pool2d(self.maps[name], 2).flatten(1) for name in sorted(self.maps)]
        return self.head(torch.cat(pooled, 1))


def emboss(images):
    """Bright from the left, dark from the right, and noise."""
    slope = images - F.pad(images, (1, 0))[..., :-1]
    return slope + 0.15 * torch.randn_like(images)


def batches(x, y, size):
    for rows in torch.randperm(len(x)).split(size):
        yield x[rows], y[rows]


def train(model, optimizer, x, y, epochs, report=None):
    for epoch in range(1, epochs + 1):
        model.train()
        for xb, yb in batches(x, y, 32):
            loss = F.cross_entropy(model(xb), yb)
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
        if report and epoch % 4 == 0:
            print(f"epoch {epoch} loss {loss.item():.3f} accuracy {report(model):.3f}")


def main():
    torch.manual_seed(14)
    digits = load_digits()
    images = torch.tensor(digits.images, dtype=torch.float32).unsqueeze(1) / 16
    labels = torch.tensor(digits.target)
    old, new = train_test_split(torch.arange(len(images)), test_size=0.7, random_state=14, stratify=labels)

    pair = old[labels[old] < 2]
    backbone = Backbone()
    train(backbone, torch.optim.Adam(backbone.parameters(), 2e-3), images[pair], labels[pair], 15)

    train_idx, test_idx = train_test_split(new, test_size=0.4, random_state=14, stratify=labels[new])
    x, y = emboss(images[train_idx]), labels[train_idx]
    x_test, y_test = emboss(images[test_idx]), labels[test_idx]
    model = Tapped(backbone, ["stem", "deep"], 10)
    model(x[:2])
    optimizer = torch.optim.Adam([
        {"params": [*backbone.stem.parameters(), *backbone.deep.parameters()], "lr": 2e-3},
        {"params": model.head.parameters(), "lr": 5e-3},
    ])

    def accuracy(m):
        m.eval()
        with torch.no_grad():
            return (m(x_test).argmax(1) == y_test).float().mean().item()

    train(model, optimizer, x, y, 20, accuracy)


if __name__ == "__main__":
    main()
