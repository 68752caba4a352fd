"""A classifier of clean digits is adapted to inverted, dim ones: the body and its batch norms stay as they are."""
import torch
import torch.nn.functional as F
from sklearn.datasets import load_digits
from torch import nn


class Net(nn.Module):
    def __init__(self):
        super().__init__()
        self.body = nn.Sequential(
            nn.Conv2d(1, 16, 3, padding=1), nn.BatchNorm2d(16), nn.ReLU(),
            nn.Conv2d(16, 24, 3, padding=1), nn.BatchNorm2d(24), nn.ReLU(), nn.MaxPool2d(2),
            nn.Flatten(), nn.Linear(24 * 16, 48), nn.ReLU(),
        )
        self.lens = nn.Identity()
        self.head = nn.Linear(48, 10)

    def forward(self, x):
        return self.head(self.body(self.lens(x)))


class Lens(nn.Module):
    """Undoes the other camera: a pointwise curve with a skip connection that begins as the identity."""

    def __init__(self, width=16):
        super().__init__()
        self.up = nn.Conv2d(1, width, 1)
        self.down = nn.Conv2d(width, 1, 1)
        nn.init.zeros_(self.down.weight)
        nn.init.zeros_(self.down.bias)

    def forward(self, x):
        return x + self.down(torch.tanh(self.up(x)))


class Session:
    def __init__(self, net, params, lr):
        self.net = net
        self.opt = torch.optim.Adam(params, lr=lr)

    def set_mode(self):
        self.net.train()

    def fit(self, x, y, epochs, batch=40):
        for epoch in range(1, epochs + 1):
            self.set_mode()
            total = 0.0
            for rows in torch.randperm(len(x)).split(batch):
                loss = F.cross_entropy(self.net(x[rows]), y[rows])
                self.opt.zero_grad()
                loss.backward()
                self.opt.step()
                total += loss.item() * len(rows)
            print(f"  epoch {epoch} loss {total / len(x):.4f}")

    @torch.no_grad()
    def accuracy(self, x, y):
        self.net.eval()
        return (self.net(x).argmax(1) == y).float().mean().item()


class Adaptation(Session):
    """The running statistics belong to the frozen body: it stays in evaluation mode."""

    def __init__(self, net, lr):
        net.requires_grad_(False)
        net.lens = Lens()
        super().__init__(net, net.lens.parameters(), lr)

    def set_mode(self):
        self.net.eval()
        self.net.lens.train()


def other_camera(x):
    return (0.25 + 0.5 * (1 - x) ** 1.3 + 0.03 * torch.randn_like(x) - 0.5) / 0.25


torch.manual_seed(33)
bunch = load_digits()
order = torch.randperm(len(bunch.target))
images = torch.tensor(bunch.images, dtype=torch.float32).unsqueeze(1)[order] / 16
labels = torch.tensor(bunch.target)[order]
net = Net()

first = Session(net, net.parameters(), lr=2e-3)
first.fit(2 * images[:800] - 1, labels[:800], epochs=5)
print(f"clean: {first.accuracy(2 * images[1200:] - 1, labels[1200:]):.3f}")

fit_x, new_x = other_camera(images[800:1200]), other_camera(images[1200:])
print(f"other camera, not adapted: {first.accuracy(new_x, labels[1200:]):.3f}")
second = Adaptation(net, lr=1e-2)
second.fit(fit_x, labels[800:1200], epochs=12)
print(f"other camera, adapted: {second.accuracy(new_x, labels[1200:]):.3f}")
