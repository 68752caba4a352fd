# Vibration of milling spindles from the machine log.
# The table has one row a reading: unix time, load, feed, coolant temperature, tool age.
import numpy as np
import torch
import torch.nn as nn
import torch.nn.functional as F

torch.manual_seed(9)
np.random.seed(9)

TURN = 41.3        # seconds that the table needs for a turn
START = 1_760_000_000


def read_log(n):
    t = START + np.sort(np.random.uniform(0, 6 * 3600, n))
    load = np.random.gamma(3.0, 0.4, n)
    feed = np.random.uniform(0.2, 1.0, n)
    coolant = 22 + 4 * np.random.randn(n)
    tool_age = np.random.uniform(0, 40, n)
    angle = 2 * np.pi * t / TURN
    vib = (
        0.6 * load * (1 + np.sin(angle))
        + 0.5 * feed * np.cos(2 * angle)
        + 0.02 * tool_age
        + 0.03 * (coolant - 22)
        + 0.1 * np.random.randn(n)
    )
    return np.column_stack([t, load, feed, coolant, tool_age]), vib


log, vib = read_log(6000)
table = torch.as_tensor(log, dtype=torch.float32)
target = torch.as_tensor(vib, dtype=torch.float32)


def features(rows):
    angle = 2 * torch.pi * rows[:, 0] / TURN
    turning = torch.stack([angle.sin(), angle.cos(), (2 * angle).sin(), (2 * angle).cos()], dim=1)
    return torch.cat([turning, rows[:, 1:]], dim=1).float()


order = torch.randperm(len(table))
train_rows, test_rows = order[:4800], order[4800:]
x = features(table)
mean, std = x[train_rows].mean(0), x[train_rows].std(0)
x = (x - mean) / std
x_train, y_train = x[train_rows], target[train_rows]
x_test, y_test = x[test_rows], target[test_rows]


class VibrationNet(nn.Module):
    def __init__(self, n_in, width=64, depth=3, p=0.0):
        super().__init__()
        layers = []
        for i in range(depth):
            layers += [nn.Linear(n_in if i == 0 else width, width), nn.SiLU(), nn.Dropout(p)]
        self.net = nn.Sequential(*layers, nn.Linear(width, 1))

    def forward(self, x):
        return self.net(x).squeeze(-1)


model = VibrationNet(x.shape[1])
optimizer = torch.optim.Adam(model.parameters(), lr=2e-3)
epochs, batch_size = 50, 96
scheduler = torch.optim.lr_scheduler.CosineAnnealingLR(optimizer, epochs)

for epoch in range(1, epochs + 1):
    model.train()
    perm = torch.randperm(len(x_train))
    epoch_loss = 0.0
    for i in range(0, len(perm), batch_size):
        idx = perm[i:i + batch_size]
        loss = F.mse_loss(model(x_train[idx]), y_train[idx])
        optimizer.zero_grad(set_to_none=True)
        loss.backward()
        optimizer.step()
        epoch_loss += loss.item() * len(idx)
    scheduler.step()
    if epoch % 5 == 0:
        model.eval()
        with torch.no_grad():
            val = F.mse_loss(model(x_test), y_test).item()
        print(f"{epoch:3d} train {epoch_loss / len(x_train):.4f} val {val:.4f} lr {scheduler.get_last_lr()[0]:.5f}")

model.eval()
with torch.no_grad():
    residual = y_test - model(x_test)
r2 = 1 - (residual ** 2).mean() / y_test.var()
print(f"r2 on unseen readings: {r2.item():.4f}")
