"""Read the rolling figures of petrol pump dials (8x8 crops) with a small fully connected network."""
import os
import random

import numpy as np
import torch
import torch.nn as nn
from sklearn.datasets import load_digits
from sklearn.model_selection import train_test_split
from torch.utils.data import DataLoader, TensorDataset

seed = int(os.environ.get("SEED", "0"))
random.seed(seed)
np.random.seed(seed)
torch.manual_seed(seed)

config = {"batch_size": 32, "epochs": 30, "lr": 0.03, "hidden": 64}

digits = load_digits()
X = digits.data.astype(np.float32) / 16.0
y = digits.target
X_train, X_test, y_train, y_test = train_test_split(X, y, test_size=0.25, random_state=seed, stratify=y)

train_loader = DataLoader(
    TensorDataset(torch.from_numpy(X_train), torch.from_numpy(y_train)),
    batch_size=config["batch_size"],
    shuffle=True,
)
test_loader = DataLoader(TensorDataset(torch.from_numpy(X_test), torch.from_numpy(y_test)), batch_size=256)

model = nn.Sequential(
    nn.Linear(64, config["hidden"]),
    nn.ReLU(),
    nn.Linear(config["hidden"], 32),
    nn.ReLU(),
    nn.Linear(32, 10),
)
criterion = nn.CrossEntropyLoss()
optimizer = torch.optim.SGD(model.parameters(), lr=config["lr"])


def evaluate(loader):
    model.eval()
    right, total = 0, 0
    with torch.no_grad():
        for inputs, labels in loader:
            outputs = model(inputs)
            _, predicted = torch.max(outputs, 1)
            right += (predicted == labels).sum().item()
            total += labels.size(0)
    return right / total


for epoch in range(config["epochs"]):
    model.train()
    running_loss = 0.0
    for inputs, labels in train_loader:
        optimizer.zero_grad()
        outputs = model(inputs)
        loss = criterion(outputs, labels)
        loss.backward()
        optimizer.step()
        running_loss += loss.item()
    if (epoch + 1) % 5 == 0:
        acc = evaluate(test_loader)
        print(f"epoch {epoch + 1:3d}  loss {running_loss / len(train_loader):.4f}  acc {acc:.3f}")

print("Finished Training")
print(f"test accuracy {evaluate(test_loader):.4f}")
