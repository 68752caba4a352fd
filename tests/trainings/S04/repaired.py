"""Digits, split into a training and a test set, with a normalization after the first layer."""

import torch
from sklearn.datasets import load_digits
from sklearn.model_selection import train_test_split
from torch import nn
from torch.utils.data import DataLoader, TensorDataset

torch.manual_seed(0)
x, y = load_digits(return_X_y=True)
x_train, x_test, y_train, y_test = train_test_split((x - 4.9) / 6.0, y, train_size=1601, random_state=0)
train_set = TensorDataset(torch.tensor(x_train).float(), torch.tensor(y_train))
test_set = TensorDataset(torch.tensor(x_test).float(), torch.tensor(y_test))
train_loader = DataLoader(train_set, batch_size=5, shuffle=True, drop_last=True)
test_loader = DataLoader(test_set, batch_size=64)

model = nn.Sequential(nn.Linear(64, 48), nn.BatchNorm1d(48), nn.ReLU(), nn.Linear(48, 10))
optimizer = torch.optim.Adam(model.parameters(), lr=1e-3)

for epoch in range(8):
    model.train()
    for images, labels in train_loader:
        optimizer.zero_grad()
        loss = nn.functional.cross_entropy(model(images), labels)
        loss.backward()
        optimizer.step()
    model.eval()
    with torch.no_grad():
        right = sum(int((model(images).argmax(1) == labels).sum()) for images, labels in test_loader)
    print(f"epoch {epoch}: accuracy {right / len(test_set):.3f}")
