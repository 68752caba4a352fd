import numpy as np
import torch
from sklearn.datasets import load_digits
from torch import nn
from torch.utils.data import DataLoader, TensorDataset, random_split


def mixup(x, targets, alpha):
    """Blend every example with another one of the batch, and their targets likewise."""
    lam = np.random.beta(alpha, alpha)
    partner = torch.randperm(len(x))
    return lam * x + (1 - lam) * x[partner], lam * targets + (1 - lam) * targets[partner]


def soft_targets(labels, classes, smoothing):
    off = smoothing / classes
    return torch.full((len(labels), classes), off).scatter_(1, labels[:, None], 1 - smoothing + off)


def conv_block(n_in, n_out):
    return nn.Sequential(nn.Conv2d(n_in, n_out, 3, padding=1, bias=False), nn.BatchNorm2d(n_out), nn.ReLU())


def build():
    return nn.Sequential(
        conv_block(1, 16), conv_block(16, 32), nn.MaxPool2d(2), conv_block(32, 48), nn.AdaptiveAvgPool2d(1), nn.Flatten(),
        nn.Linear(48, 10),
    )  # fmt: skip


def accuracy(net, loader):
    net.eval()
    right = total = 0
    with torch.inference_mode():
        for x, y in loader:
            right += (net(x).argmax(1) == y).sum().item()
            total += len(y)
    return right / total


def main(epochs=10, alpha=0.4, smoothing=0.1):
    np.random.seed(14)
    torch.manual_seed(14)
    digits = load_digits()
    images = torch.tensor(digits.images, dtype=torch.float32).unsqueeze(1) / 8 - 1
    data = TensorDataset(images, torch.tensor(digits.target))
    train, test = random_split(data, [1347, 450])
    train_loader = DataLoader(train, batch_size=48, shuffle=True, drop_last=True)
    test_loader = DataLoader(test, batch_size=150)

    net = build()
    optimizer = torch.optim.SGD(net.parameters(), lr=0.1, momentum=0.9, nesterov=True, weight_decay=5e-4)
    scheduler = torch.optim.lr_scheduler.OneCycleLR(optimizer, max_lr=0.15, epochs=epochs, steps_per_epoch=len(train_loader))
    criterion = nn.CrossEntropyLoss()
    for epoch in range(epochs):
        net.train()
        losses = []
        for x, y in train_loader:
            x, targets = mixup(x, soft_targets(y, 10, smoothing), alpha)
            loss = criterion(net(x), targets)
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
            scheduler.step()
            losses.append(loss.item())
        print(f"epoch {epoch + 1:2d}  train loss {np.mean(losses):.3f}  test acc {accuracy(net, test_loader):.4f}")


if __name__ == "__main__":
    main()
