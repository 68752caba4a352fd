# LSTM forecast of the power drawn by an office block, after a tutorial on airline passengers
import os
import random

import numpy as np
import torch
import torch.nn as nn
from torch.utils.data import DataLoader, TensorDataset

seed = int(os.environ.get("SEED", "0"))
torch.manual_seed(seed)
np.random.seed(seed)
random.seed(seed)

SEQ_LEN = 24
AHEAD = 6
BATCH = 64
EPOCHS = 14

t = np.arange(2000)
phase = np.random.uniform(0, 2 * np.pi, 2)
power = 5 + 1.0 * np.sin(2 * np.pi * t / 17 + phase[0]) + 0.7 * np.sin(2 * np.pi * t / 41 + phase[1])
power = power + np.random.normal(0, 0.1, len(t))

train_part = power[:1500]
mean, std = train_part.mean(), train_part.std()
scaled = (power - mean) / std


def create_sequences(series):
    xs, ys = [], []
    for i in range(len(series) - SEQ_LEN - AHEAD):
        xs.append(series[i:i + SEQ_LEN])
        ys.append(series[i + SEQ_LEN + AHEAD - 1])
    xs = torch.tensor(np.array(xs), dtype=torch.float32).unsqueeze(-1)  # (samples, steps, 1)
    ys = torch.tensor(np.array(ys), dtype=torch.float32).unsqueeze(-1)
    return xs, ys


X_train, y_train = create_sequences(scaled[:1500])
X_test, y_test = create_sequences(scaled[1500:])
loader = DataLoader(TensorDataset(X_train, y_train), batch_size=BATCH, shuffle=True)
test_loader = DataLoader(TensorDataset(X_test, y_test), batch_size=BATCH)
print("train", tuple(X_train.shape), "test", tuple(X_test.shape))


class PowerLSTM(nn.Module):
    def __init__(self, input_size=1, hidden_size=32):
        super().__init__()
        self.lstm = nn.LSTM(input_size, hidden_size, batch_first=True)
        self.fc = nn.Linear(hidden_size, 1)

    def forward(self, x):
        out, (h, c) = self.lstm(x)
        return self.fc(out[:, -1, :])  # last time step


model = PowerLSTM()
loss_fn = nn.MSELoss()
optimizer = torch.optim.Adam(model.parameters(), lr=0.01)
scheduler = torch.optim.lr_scheduler.StepLR(optimizer, step_size=5, gamma=0.5)

for epoch in range(EPOCHS):
    model.train()
    losses = []
    for xb, yb in loader:
        optimizer.zero_grad()
        loss = loss_fn(model(xb), yb)
        loss.backward()
        optimizer.step()
        losses.append(loss.item())
    scheduler.step()
    print(f"Epoch {epoch + 1}/{EPOCHS}  MSE {np.mean(losses):.4f}")

model.eval()
preds, trues = [], []
with torch.no_grad():
    for xb, yb in test_loader:
        preds.append(model(xb))
        trues.append(yb)
preds, trues = torch.cat(preds), torch.cat(trues)
rmse = torch.sqrt(((preds - trues) ** 2).mean()).item()
print("naive RMSE", round(torch.sqrt(((X_test[:, -1] - trues) ** 2).mean()).item(), 4))
print("test RMSE", round(rmse, 4))
