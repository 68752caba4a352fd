# Rowing: the oar sensor sends 40 samples of 4 channels per stroke. Which of 5 habits does the rower have?
import os
import random
import numpy as np
import torch
import torch.nn as nn
from torch.utils.data import DataLoader, TensorDataset, random_split

seed = int(os.environ.get("SEED", "0"))
random.seed(seed)
np.random.seed(seed)
torch.manual_seed(seed)

config = dict(hidden=48, layers=1, epochs=10, batch_size=50, lr=4e-3, n=1800)


def strokes(n):
    rng = np.random.default_rng(seed)
    y = rng.integers(0, 5, n)
    t = np.linspace(0, 1, 40)
    x = np.zeros((n, 40, 4), dtype=np.float32)
    for i, k in enumerate(y):
        shift = rng.uniform(-0.08, 0.08)
        force = np.exp(-((t - 0.40 - shift) / 0.14) ** 2)
        angle = np.sin(2 * np.pi * (t + shift))
        roll = np.zeros_like(t)
        if k == 1:      # catches late
            force = np.exp(-((t - 0.50 - shift) / 0.14) ** 2)
        elif k == 2:    # two pushes
            force = 0.8 * np.exp(-((t - 0.30 - shift) / 0.07) ** 2) + 0.8 * np.exp(-((t - 0.52 - shift) / 0.07) ** 2)
        elif k == 3:    # boat rolls in the drive
            roll = 0.7 * np.sin(6 * np.pi * t) * (np.abs(t - 0.4) < 0.2)
        elif k == 4:    # blade slips
            angle = angle + 0.6 * np.exp(-((t - 0.45 - shift) / 0.05) ** 2)
        speed = np.cumsum(force) / 10 - t
        x[i] = np.stack([force, angle, roll, speed], 1) * rng.uniform(0.85, 1.15)
    x += rng.normal(0, 0.15, x.shape)
    return torch.tensor(x, dtype=torch.float32), torch.tensor(y)


class StrokeLSTM(nn.Module):
    def __init__(self, n_features, hidden, layers, n_classes):
        super().__init__()
        self.hidden, self.layers = hidden, layers
        self.lstm = nn.LSTM(n_features, hidden, layers)
        self.fc = nn.Linear(hidden, n_classes)

    def forward(self, x):
        # x: batch, time, channels
        out, (hn, cn) = self.lstm(x)
        # last time step of every stroke
        return self.fc(out[:, -1, :])


x, y = strokes(config["n"])
x = (x - x.mean((0, 1))) / x.std((0, 1))
dataset = TensorDataset(x, y)
train_set, test_set = random_split(dataset, [1400, 400], generator=torch.Generator().manual_seed(seed))
train_loader = DataLoader(train_set, batch_size=config["batch_size"], shuffle=True)
test_loader = DataLoader(test_set, batch_size=config["batch_size"], shuffle=False)

model = StrokeLSTM(4, config["hidden"], config["layers"], 5)
criterion = nn.CrossEntropyLoss()
optimizer = torch.optim.Adam(model.parameters(), lr=config["lr"])


def test():
    model.eval()
    correct = 0
    with torch.no_grad():
        for xb, yb in test_loader:
            correct += (model(xb).argmax(1) == yb).sum().item()
    return correct / len(test_set)


best_acc = 0
for epoch in range(config["epochs"]):
    model.train()
    epoch_loss = 0
    for i, (xb, yb) in enumerate(train_loader):
        outputs = model(xb)
        loss = criterion(outputs, yb)
        optimizer.zero_grad()
        loss.backward()
        nn.utils.clip_grad_norm_(model.parameters(), 1.0)
        optimizer.step()
        epoch_loss += loss.item()
    acc = test()
    best_acc = max(acc, best_acc)
    print("Epoch [{}/{}], Loss: {:.4f}, Acc: {:.2f}%".format(epoch + 1, config["epochs"], epoch_loss / len(train_loader), 100 * acc))

print("Test accuracy: {:.4f}".format(test()))
