"""Benign or malignant? A small classifier, validated after every epoch."""

import torch
from sklearn.datasets import load_breast_cancer
from sklearn.model_selection import train_test_split
from sklearn.preprocessing import StandardScaler
from torch import nn
from torch.utils.data import DataLoader, TensorDataset


def loaders(seed=0):
    cells = load_breast_cancer()
    x_train, x_val, y_train, y_val = train_test_split(cells.data, cells.target, test_size=0.25, random_state=seed)
    scaler = StandardScaler()
    x_train = scaler.fit_transform(x_train)
    parts = [(x_train, y_train), (x_val, y_val)]
    sets = [TensorDataset(torch.tensor(x, dtype=torch.float32), torch.tensor(y)) for x, y in parts]
    return DataLoader(sets[0], batch_size=32, shuffle=True), DataLoader(sets[1], batch_size=64)


def accuracy(model, loader):
    model.eval()
    right = total = 0
    with torch.no_grad():
        for x, y in loader:
            right += (model(x).argmax(1) == y).sum().item()
            total += len(y)
    model.train()
    return right / total


if __name__ == "__main__":
    torch.manual_seed(1)
    train, val = loaders()
    model = nn.Sequential(nn.Linear(30, 32), nn.ReLU(), nn.Dropout(0.1), nn.Linear(32, 2))
    optimizer = torch.optim.Adam(model.parameters(), lr=2e-3)
    criterion = nn.CrossEntropyLoss()
    for epoch in range(10):
        for x, y in train:
            optimizer.zero_grad()
            loss = criterion(model(x), y)
            loss.backward()
            optimizer.step()
        print(f"epoch {epoch}: loss {loss.item():.3f}, accuracy {accuracy(model, val):.3f}")
