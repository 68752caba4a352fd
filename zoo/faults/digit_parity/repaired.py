# Stage one learns the ten digits; stage two keeps its features and reads odd/even from eighty labelled scans.
import io

import torch
from sklearn.datasets import load_digits
from torch import nn
from torch.utils.data import DataLoader, TensorDataset


def backbone() -> nn.Sequential:
    return nn.Sequential(
        nn.Conv2d(1, 16, 3, padding=1), nn.ReLU(),
        nn.Conv2d(16, 32, 3, padding=1), nn.ReLU(), nn.MaxPool2d(2),
        nn.Flatten(), nn.Linear(32 * 16, 48), nn.ReLU(),
    )


class Recogniser(nn.Module):
    def __init__(self, n_classes: int) -> None:
        super().__init__()
        self.features = backbone()
        self.head = nn.Linear(48, n_classes)

    def forward(self, x):
        return self.head(self.features(x))


def fit(model: nn.Module, parameters, data: TensorDataset, epochs: int, size: int, lr: float) -> None:
    loader = DataLoader(data, batch_size=size, shuffle=True)
    optim = torch.optim.Adam(parameters, lr=lr)
    criterion = nn.CrossEntropyLoss()
    for epoch in range(epochs):
        total = 0.0
        for images, labels in loader:
            optim.zero_grad()
            loss = criterion(model(images), labels)
            loss.backward()
            optim.step()
            total += loss.item() * len(images)
        if (epoch + 1) % max(1, epochs // 4) == 0:
            print(f"  epoch {epoch + 1} loss {total / len(data):.4f}")


@torch.no_grad()
def accuracy(model: nn.Module, images, labels) -> float:
    model.eval()
    return (model(images).argmax(1) == labels).float().mean().item()


def pretrain(images, labels) -> io.BytesIO:
    net = nn.DataParallel(Recogniser(10))
    fit(net, net.parameters(), TensorDataset(images, labels), epochs=8, size=64, lr=2e-3)
    file = io.BytesIO()
    torch.save({"model": net.state_dict(), "epochs": 8}, file)
    file.seek(0)
    return file


def transfer(file: io.BytesIO, images, labels) -> nn.Module:
    net = Recogniser(2)
    saved = torch.load(file)["model"]
    saved = {k.removeprefix("module."): v for k, v in saved.items() if "head" not in k}
    net.load_state_dict(saved, strict=False)
    net.features.requires_grad_(False)
    fit(net, net.head.parameters(), TensorDataset(images, labels), epochs=80, size=20, lr=3e-3)
    return net


def run() -> None:
    torch.manual_seed(5)
    x, y = load_digits(return_X_y=True)
    x = torch.tensor(x / 16.0, dtype=torch.float32).view(-1, 1, 8, 8)
    y = torch.tensor(y)
    order = torch.randperm(len(x))
    first, few, test = order[:1000], order[1000:1080], order[1080:]
    print("pretraining")
    checkpoint = pretrain(x[first], y[first])
    print("odd or even")
    net = transfer(checkpoint, x[few], y[few] % 2)
    print(f"parity accuracy {accuracy(net, x[test], y[test] % 2):.4f}")


run()
