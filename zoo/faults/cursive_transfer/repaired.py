"""Teach a reader of the digits 0-4 the digits 5-9 from few examples."""
import torch
import torch.nn.functional as F
from sklearn.datasets import load_digits
from torch import nn


class Reader(nn.Module):
    def __init__(self, outputs: int):
        super().__init__()
        self.features = nn.Sequential(
            nn.Conv2d(1, 12, 3, padding=1), nn.ReLU(), nn.MaxPool2d(2),
            nn.Conv2d(12, 24, 3, padding=1), nn.ReLU(), nn.Flatten(),
            nn.Linear(24 * 16, 48), nn.ReLU(),
        )
        self.head = nn.Linear(48, outputs)

    def forward(self, x):
        return self.head(self.features(x))


class Finetuner:
    """Keeps the features near their old place: they get a smaller rate than the head."""

    def __init__(self, model: Reader, lr: float = 2e-3):
        self.model = model
        self.lr = lr
        self.opt = None

    def prepare(self, outputs: int, ratio: float = 1.0):
        self.model.head = nn.Linear(self.model.head.in_features, outputs)
        self.opt = torch.optim.Adam(
            [
                {"params": self.model.features.parameters(), "lr": self.lr * ratio},
                {"params": self.model.head.parameters()},
            ],
            lr=self.lr,
        )

    def fit(self, x, y, epochs, batch=16):
        self.model.train()
        for epoch in range(epochs):
            running = 0.0
            for idx in torch.randperm(len(x)).split(batch):
                loss = F.cross_entropy(self.model(x[idx]), y[idx])
                self.opt.zero_grad()
                loss.backward()
                self.opt.step()
                running += loss.item() * len(idx)
            print(f"  epoch {epoch + 1} loss {running / len(x):.4f}")

    @torch.no_grad()
    def accuracy(self, x, y):
        self.model.eval()
        return (self.model(x).argmax(1) == y).float().mean().item()


def split(x, y, low, high, n_train):
    keep = torch.nonzero((y >= low) & (y < high)).flatten()
    keep = keep[torch.randperm(len(keep))]
    return (x[keep[:n_train]], y[keep[:n_train]] - low), (x[keep[n_train:]], y[keep[n_train:]] - low)


def main():
    torch.manual_seed(8)
    raw = load_digits()
    x = torch.tensor(raw.images, dtype=torch.float32).unsqueeze(1) / 16
    y = torch.tensor(raw.target)

    old_train, old_test = split(x, y, 0, 5, 600)
    tuner = Finetuner(Reader(5))
    tuner.prepare(outputs=5)
    tuner.fit(*old_train, epochs=4)
    print(f"old digits: {tuner.accuracy(*old_test):.3f}")

    new_train, new_test = split(x, y, 5, 10, 120)
    tuner.prepare(outputs=5, ratio=0.2)
    tuner.fit(*new_train, epochs=20)
    print(f"new digits: {tuner.accuracy(*new_test):.3f}")


main()
