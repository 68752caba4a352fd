import numpy as np
import torch
from torch import nn
from torch.utils.data import DataLoader, TensorDataset


def record(n, rng):
    """Raw 12-bit microphone samples; class = dominant overtone."""
    y = rng.integers(0, 4, n)
    t = np.arange(50) / 50
    f0 = rng.uniform(2, 3, (n, 1))
    tone = np.sin(2 * np.pi * f0 * t) + 0.7 * np.sin(2 * np.pi * f0 * (y[:, None] + 2) * t + rng.uniform(0, 6.28, (n, 1)))
    wave = 2048 + 300 * tone + 90 * rng.standard_normal((n, 50))
    return wave.astype(np.float32)[:, None], y


class SoundNet(nn.Module):
    def __init__(self):
        super().__init__()
        self.body = nn.Sequential(
            nn.Conv1d(1, 16, 9, stride=2), nn.ReLU(), nn.Conv1d(16, 32, 7, stride=2), nn.ReLU(), nn.Flatten(),
        )
        self.head = nn.Linear(32 * 8, 4)

    def forward(self, x):
        return self.head(self.body(x))


def fit(model, loader, epochs):
    opt = torch.optim.Adam(model.parameters(), lr=1.5e-3)
    loss_fn = nn.CrossEntropyLoss()
    for e in range(epochs):
        model.train()
        total = 0
        for x, y in loader:
            opt.zero_grad()
            loss = loss_fn(model(x), y)
            loss.backward()
            opt.step()
            total += loss.item()
        print(f"epoch {e}: {total / len(loader):.4f}")


def test(model, loader):
    model.eval()
    good = n = 0
    with torch.no_grad():
        for x, y in loader:
            good += (model(x).argmax(1) == y).sum().item()
            n += len(y)
    return good / n


if __name__ == "__main__":
    torch.manual_seed(40)
    np.random.seed(40)
    rng = np.random.default_rng(np.random.randint(2 ** 31))
    x_train, y_train = record(1200, rng)
    x_test, y_test = record(400, rng)
    mu, sd = x_train.mean(), x_train.std()
    x_train = (x_train - mu) / sd
    x_test = (x_test - mu) / sd
    train_loader = DataLoader(
        TensorDataset(torch.from_numpy(x_train), torch.from_numpy(y_train)), batch_size=40, shuffle=True
    )
    test_loader = DataLoader(TensorDataset(torch.from_numpy(x_test), torch.from_numpy(y_test)), batch_size=200)
    net = SoundNet()
    fit(net, train_loader, 8)
    print("test accuracy: %.3f" % test(net, test_loader))
