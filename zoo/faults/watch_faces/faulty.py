import os
import random
import tempfile

import numpy as np
import torch
import torch.nn as nn
import torch.nn.functional as F
from sklearn.datasets import load_digits

seed = int(os.environ.get("SEED", "0"))


def seed_everything(s):
    random.seed(s)
    np.random.seed(s)
    torch.manual_seed(s)


class Backbone(nn.Module):
    def __init__(self):
        super().__init__()
        self.conv1 = nn.Conv2d(1, 16, 3, padding=1)
        self.bn1 = nn.BatchNorm2d(16)
        self.conv2 = nn.Conv2d(16, 32, 3, padding=1)
        self.bn2 = nn.BatchNorm2d(32)
        self.fc = nn.Linear(32 * 2 * 2, 64)

    def forward(self, x):
        x = F.max_pool2d(F.relu(self.bn1(self.conv1(x))), 2)
        x = F.max_pool2d(F.relu(self.bn2(self.conv2(x))), 2)
        return F.relu(self.fc(x.flatten(1)))


class Classifier(nn.Module):
    def __init__(self, n_classes):
        super().__init__()
        self.backbone = Backbone()
        self.head = nn.Linear(64, n_classes)

    def forward(self, x):
        return self.head(self.backbone(x))


def split(images, labels, classes, rng, n_train):
    """Rows of the wanted classes, labels renumbered from zero."""
    keep = np.flatnonzero(np.isin(labels, classes))
    rng.shuffle(keep)
    x = torch.tensor(images[keep] / 16.0, dtype=torch.float32).unsqueeze(1)
    y = torch.tensor([classes.index(c) for c in labels[keep]])
    return (x[:n_train], y[:n_train]), (x[n_train:], y[n_train:])


def fit(model, params, data, epochs, lr, batch_size=32):
    x, y = data
    optimizer = torch.optim.Adam(params, lr=lr)
    for epoch in range(epochs):
        model.train()
        order = torch.randperm(len(x))
        seen = 0.0
        for chunk in order.split(batch_size):
            optimizer.zero_grad()
            loss = F.cross_entropy(model(x[chunk]), y[chunk])
            loss.backward()
            optimizer.step()
            seen += loss.item() * len(chunk)
        if (epoch + 1) % 5 == 0:
            print(f"   epoch {epoch + 1}: loss {seen / len(x):.4f}")


@torch.no_grad()
def accuracy(model, data):
    model.eval()
    x, y = data
    return (model(x).argmax(1) == y).float().mean().item()


def main():
    seed_everything(seed)
    rng = np.random.default_rng(seed)
    digits = load_digits()

    numerals = list(range(10))

    print("pretraining on faces by day")
    old_train, old_test = split(digits.images[:1000], digits.target[:1000], numerals, rng, 800)
    source = Classifier(10)
    fit(source, source.parameters(), old_train, epochs=8, lr=2e-3)
    print(f"   source accuracy {accuracy(source, old_test):.3f}")

    path = os.path.join(tempfile.mkdtemp(), "backbone.pt")
    torch.save(source.backbone.state_dict(), path)

    print("fine-tuning on faces by night, 40 pictures")
    dark = 0.6 * digits.images[1000:] + rng.normal(0, 1.5, digits.images[1000:].shape)
    new_train, new_test = split(dark, digits.target[1000:], numerals, rng, 40)
    model = Classifier(10)
    model.load_state_dict(torch.load(path), strict=False)
    for p in model.backbone.conv1.parameters():
        p.requires_grad_(False)
    trainable = [p for p in model.parameters() if p.requires_grad]
    fit(model, trainable, new_train, epochs=10, lr=1e-3, batch_size=8)
    print(f"accuracy by night {accuracy(model, new_test):.4f}")


if __name__ == "__main__":
    main()
