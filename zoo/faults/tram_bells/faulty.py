"""Forecast of the next value of the bell counter from the last 24."""
import os
import random
import numpy as np
import torch
import torch.nn as nn

seed = int(os.environ.get("SEED", "0"))
random.seed(seed)
np.random.seed(seed)
torch.manual_seed(seed)


def generate_bells(length=2600):
    t = np.arange(length)
    phase = np.random.uniform(0, 2 * np.pi)
    daily = np.sin(2 * np.pi * t / 24 + phase)
    weekly = 0.5 * np.sin(2 * np.pi * t / 168)
    return (daily + weekly + 0.1 * np.random.randn(length)).astype(np.float32)


def sliding_windows(data, seq_length):
    x, y = [], []
    for i in range(len(data) - seq_length):
        x.append(data[i:i + seq_length])
        y.append(data[i + seq_length])
    return torch.tensor(np.array(x)), torch.tensor(np.array(y)).unsqueeze(1)


series = generate_bells()
X, Y = sliding_windows(series, 24)
split = 2000
X_train, Y_train, X_test, Y_test = X[:split], Y[:split], X[split:], Y[split:]

model = nn.Sequential(
    nn.Linear(24, 64),
    nn.ReLU(),
    nn.Linear(64, 64),
    nn.ReLU(),
    nn.Linear(64, 1),
)
criterion = nn.MSELoss()
optimizer = torch.optim.Adam(model.parameters(), lr=0.002)

batch_size = 40
num_epochs = 25
history = []
for epoch in range(num_epochs):
    model.train()
    permutation = torch.randperm(split)
    epoch_loss = 0.0
    for i in range(0, split, batch_size):
        indices = permutation[i:i + batch_size]
        batch_x, batch_y = X_train[indices], Y_train[indices]
        outputs = model(batch_x)
        loss = criterion(outputs, batch_y)
        loss.backward()
        optimizer.step()
        epoch_loss += loss.item()
    history.append(epoch_loss / (split // batch_size))
    if epoch % 4 == 0:
        print("Epoch: %d, loss: %1.5f" % (epoch, history[-1]))

model.eval()
with torch.no_grad():
    prediction = model(X_test)
    rmse = torch.sqrt(criterion(prediction, Y_test)).item()
    naive = torch.sqrt(criterion(X_test[:, -1:], Y_test)).item()
print("naive forecast: %.4f" % naive)
print("test rmse %.4f" % rmse)
