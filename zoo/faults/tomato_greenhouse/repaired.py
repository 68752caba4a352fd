# Greenhouse temperature one hour ahead from the last 24 hours (temp, humidity, outside temp, sun, hour of day)
import numpy as np
import torch
import torch.nn as nn
from torch.utils.data import DataLoader, TensorDataset

torch.manual_seed(19)
np.random.seed(19)

# ---------- the log file (simulated here, mine is a csv)
hours = 2400
clock = np.arange(hours)
cloud = np.zeros(hours)
drift = np.zeros(hours)
for i in range(1, hours):
    cloud[i] = 0.9 * cloud[i - 1] + 0.3 * np.random.randn()
    drift[i] = 0.97 * drift[i - 1] + 0.4 * np.random.randn()
sun = np.clip(np.sin(2 * np.pi * (clock % 24 - 6) / 24), 0, None) * (1 - 0.4 * np.tanh(np.abs(cloud)))
outside = 12 + 5 * np.sin(2 * np.pi * (clock % 24 - 9) / 24) + drift
temp = np.zeros(hours)
temp[0] = 18
for i in range(1, hours):
    temp[i] = temp[i - 1] + 0.15 * (outside[i - 1] + 4 - temp[i - 1]) + 2.5 * sun[i - 1] + 0.15 * np.random.randn()
humidity = 80 - 1.2 * (temp - 18) + 3 * np.random.randn(hours)
phase = 2 * np.pi * (clock % 24) / 24
log = np.stack([temp, humidity, outside, sun, np.sin(phase), np.cos(phase)], axis=1)

# ---------- scale with the first 80 percent
split = int(0.8 * hours)
mean, std = log[:split].mean(axis=0), log[:split].std(axis=0)
scaled = ((log - mean) / std).astype(np.float32)

# ---------- windows
LOOK_BACK = 24


def windows(part):
    xs, ys = [], []
    for i in range(len(part) - LOOK_BACK):
        xs.append(part[i:i + LOOK_BACK])
        ys.append(part[i + LOOK_BACK, 0])
    return torch.from_numpy(np.array(xs)), torch.from_numpy(np.array(ys)).unsqueeze(1)


x_train, y_train = windows(scaled[:split])
x_test, y_test = windows(scaled[split:])
print("train windows", tuple(x_train.shape), "test windows", tuple(x_test.shape))

BATCH_SIZE = 64
train_loader = DataLoader(TensorDataset(x_train, y_train), batch_size=BATCH_SIZE, shuffle=True)
test_loader = DataLoader(TensorDataset(x_test, y_test), batch_size=BATCH_SIZE)


class GRUModel(nn.Module):
    def __init__(self, n_features, hidden_dim):
        super().__init__()
        self.gru = nn.GRU(n_features, hidden_dim, batch_first=True)
        self.linear = nn.Linear(hidden_dim, 1)

    def forward(self, x):
        out, _ = self.gru(x)
        return self.linear(out[:, -1, :])


model = GRUModel(n_features=log.shape[1], hidden_dim=32)
criterion = nn.MSELoss()
optimizer = torch.optim.Adam(model.parameters(), lr=3e-3)

NUM_EPOCHS = 20
for epoch in range(NUM_EPOCHS):
    model.train()
    epoch_losses = []
    for xb, yb in train_loader:
        optimizer.zero_grad()
        loss = criterion(model(xb), yb)
        loss.backward()
        optimizer.step()
        epoch_losses.append(loss.item())
    if (epoch + 1) % 2 == 0:
        print("Epoch [{}/{}], Loss: {:.4f}".format(epoch + 1, NUM_EPOCHS, np.mean(epoch_losses)))

model.eval()
preds = []
with torch.no_grad():
    for xb, yb in test_loader:
        preds.append(model(xb))
preds = torch.cat(preds).numpy()[:, 0] * std[0] + mean[0]
actual = y_test.numpy()[:, 0] * std[0] + mean[0]
print("last five hours  predicted", preds[-5:].round(1), " measured", actual[-5:].round(1))
print("Test RMSE (deg C): {:.3f}".format(np.sqrt(np.mean((preds - actual) ** 2))))
