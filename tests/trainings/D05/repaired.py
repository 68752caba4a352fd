"""Small convolutional network on handwritten digits."""

import torch
from sklearn.datasets import load_digits
from torch import nn
from torch.utils.data import DataLoader, TensorDataset, random_split


def make_loaders():
    digits = load_digits()
    images = torch.tensor(digits.images, dtype=torch.float32).unsqueeze(1) / 8 - 1
    train, test = random_split(TensorDataset(images, torch.tensor(digits.target)), [1500, 297])
    return DataLoader(train, batch_size=75, shuffle=True), DataLoader(test, batch_size=297)


def main():
    torch.manual_seed(11)
    train_loader, test_loader = make_loaders()
    cnn = nn.Sequential(
        nn.Conv2d(1, 12, 3, padding=1),
        nn.ReLU(),
        nn.MaxPool2d(2),
        nn.Conv2d(12, 24, 3, padding=1),
        nn.ReLU(),
        nn.Flatten(),
        nn.Linear(24 * 16, 10),
    )
    criterion = nn.CrossEntropyLoss()
    optimizer = torch.optim.Adam(cnn.parameters(), lr=2e-3)
    for epoch in range(5):
        cnn.train()
        for x, y in train_loader:
            optimizer.zero_grad()
            loss = criterion(cnn(x), y)
            loss.backward()
            optimizer.step()
        cnn.eval()
        with torch.no_grad():
            x, y = next(iter(test_loader))
            print(epoch, f"loss {loss.item():.3f} accuracy {(cnn(x).argmax(1) == y).float().mean():.3f}")


if __name__ == "__main__":
    main()
