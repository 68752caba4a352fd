"""Conv1d + LSTM for spindle recordings. Port of the Keras model: Conv1D(24) - MaxPool - LSTM(32) - Dense(4)."""
import numpy as np
import torch
import torch.nn as nn
from torch.utils.data import DataLoader, TensorDataset

torch.manual_seed(8)
np.random.seed(8)

STEPS, SENSORS = 64, 6
STATES = ["quiet cut", "chatter at tool", "chatter at chuck", "bearing play"]


def recording(state):
    t = np.arange(STEPS)
    x = np.random.normal(0, 0.6, (STEPS, SENSORS))
    base = np.random.uniform(0.30, 0.55)
    x += np.sin(base * t[:, None] + np.random.uniform(0, 2 * np.pi, SENSORS)) * np.random.uniform(0.5, 1.0, SENSORS)
    if state in (1, 2):
        lead, follow = (0, 3) if state == 1 else (3, 0)
        f, phase = np.random.uniform(0.9, 1.2), np.random.uniform(0, 2 * np.pi)
        x[:, lead] += np.sin(f * t + phase)
        x[:, follow] += np.sin(f * t + phase - 1.4)
    elif state == 3:
        start = np.random.randint(0, 12)
        x[start::12, 5] += 2.0
    return x.astype(np.float32)


def dataset(n):
    y = np.random.randint(0, len(STATES), n)
    x = np.stack([recording(s) for s in y])
    return torch.from_numpy(x), torch.from_numpy(y)


class ChatterNet(nn.Module):
    def __init__(self):
        super().__init__()
        self.conv = nn.Conv1d(SENSORS, 24, kernel_size=7, padding=3)
        self.pool = nn.MaxPool1d(2)
        self.lstm = nn.LSTM(24, 32, batch_first=True)
        self.dense = nn.Linear(32, len(STATES))

    def forward(self, x):
        # (batch, steps, sensors) -> (batch, sensors, steps)
        x = x.permute(0, 2, 1)
        x = self.pool(torch.relu(self.conv(x)))
        # back to (batch, steps, channels) for the LSTM
        x = x.permute(0, 2, 1)
        _, (h, _) = self.lstm(x)
        return self.dense(h[-1])


x_train, y_train = dataset(2000)
x_test, y_test = dataset(600)
mean, std = x_train.mean((0, 1)), x_train.std((0, 1))
x_train, x_test = (x_train - mean) / std, (x_test - mean) / std

model = ChatterNet()
seen_shapes = {}
grad_norms = []


def note_shape(name):
    def hook(module, args, output):
        out = output[0] if isinstance(output, tuple) else output
        seen_shapes.setdefault(name, tuple(out.shape))
    return hook


for name, module in model.named_children():
    module.register_forward_hook(note_shape(name))
model.dense.weight.register_hook(lambda g: grad_norms.append(g.norm().item()))

loader = DataLoader(TensorDataset(x_train, y_train), batch_size=50, shuffle=True)
criterion = nn.CrossEntropyLoss()
optimizer = torch.optim.Adam(model.parameters(), lr=2e-3)

for epoch in range(14):
    model.train()
    total = 0.0
    grad_norms.clear()
    for xb, yb in loader:
        optimizer.zero_grad()
        loss = criterion(model(xb), yb)
        loss.backward()
        optimizer.step()
        total += loss.item() * len(xb)
    if epoch == 0:
        print("layer outputs:", seen_shapes)
    if epoch % 3 == 1:
        print(f"epoch {epoch + 1:2d} loss {total / len(x_train):.4f} head gradient {np.mean(grad_norms):.3f}")

model.eval()
with torch.no_grad():
    accuracy = (model(x_test).argmax(1) == y_test).float().mean().item()
print(f"test accuracy {accuracy:.4f}")
