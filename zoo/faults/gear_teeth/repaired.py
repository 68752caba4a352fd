"""Second plant: the tooth inspection of the first plant is adapted to its gears.

The backbone comes from the first plant (five kinds), the second has five
other kinds and few labelled pictures.
"""
import numpy as np
import torch
import torch.nn as nn
import torch.nn.functional as F
from sklearn.datasets import load_digits


class ToothNet(nn.Module):
    def __init__(self, n_kinds):
        super().__init__()
        self.backbone = nn.Sequential(
            nn.Conv2d(1, 16, 3, padding=1), nn.ReLU(),
            nn.Conv2d(16, 32, 3, padding=1), nn.ReLU(), nn.MaxPool2d(2),
            nn.Conv2d(32, 32, 3, padding=1), nn.ReLU(), nn.MaxPool2d(2),
            nn.Flatten(),
        )
        self.head = nn.Linear(128, n_kinds)

    def forward(self, x):
        return self.head(self.backbone(x))


def parameter_groups(model, lr, backbone_factor):
    return [
        {"params": list(model.backbone.parameters()), "lr": lr * backbone_factor},
        {"params": list(model.head.parameters()), "lr": lr, "weight_decay": 0.0},
    ]


class Experiment:
    def __init__(self, model, lr, epochs, backbone_factor=1.0, batch=32):
        self.model = model
        self.epochs = epochs
        self.batch = batch
        self.optimizer = torch.optim.AdamW(parameter_groups(model, lr, backbone_factor), weight_decay=1e-3)
        self.scheduler = torch.optim.lr_scheduler.CosineAnnealingLR(self.optimizer, epochs)

    def fit(self, x, y, tag):
        for epoch in range(self.epochs):
            self.model.train()
            losses = []
            for idx in torch.randperm(len(x)).split(self.batch):
                loss = F.cross_entropy(self.model(x[idx]), y[idx])
                self.optimizer.zero_grad()
                loss.backward()
                self.optimizer.step()
                losses.append(loss.item())
            self.scheduler.step()
            if (epoch + 1) % max(1, self.epochs // 6) == 0:
                print(f"[{tag}] epoch {epoch + 1} loss {np.mean(losses):.4f}")
        return self

    @torch.no_grad()
    def accuracy(self, x, y):
        self.model.eval()
        return (self.model(x).argmax(1) == y).float().mean().item()


def plants():
    x, y = load_digits(return_X_y=True)
    x = torch.tensor(x / 16.0, dtype=torch.float32).view(-1, 1, 8, 8)
    y = torch.tensor(y)
    first = y < 5
    return (x[first], y[first]), (x[~first], y[~first] - 5)


def main():
    torch.manual_seed(8)
    np.random.seed(8)
    (x1, y1), (x2, y2) = plants()
    first = Experiment(ToothNet(5), lr=2e-3, epochs=18).fit(x1, y1, "plant 1")
    print(f"plant 1 accuracy {first.accuracy(x1, y1):.3f}")

    order = torch.from_numpy(np.random.permutation(len(x2)))
    train, test = order[:200], order[200:]
    model = first.model
    # careful with the backbone, it has seen far more pictures
    model.head = nn.Linear(model.head.in_features, 5)
    second = Experiment(model, lr=4e-3, epochs=60, backbone_factor=0.005)
    second.fit(x2[train], y2[train], "plant 2")
    print(f"plant 2 accuracy {second.accuracy(x2[test], y2[test]):.4f}")


if __name__ == "__main__":
    main()
