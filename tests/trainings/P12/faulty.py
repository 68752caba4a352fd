import numpy as np
import torch
from torch import nn

rng = np.random.default_rng(0)
torch.manual_seed(0)


class NextValue(nn.Module):
    def __init__(self, hidden=32):
        super().__init__()
        self.lstm = nn.LSTM(1, hidden, batch_first=True)
        self.out = nn.Linear(hidden, 1)

    def forward(self, window):
        states, _ = self.lstm(window)
        return self.out(states[:, -1])


time = np.arange(1200)
series = np.sin(2 * np.pi * time / 25) + 0.5 * np.sin(2 * np.pi * time / 60) + 0.05 * rng.normal(size=1200)
series = (series - series[:900].mean()) / series[:900].std()
windows = np.lib.stride_tricks.sliding_window_view(series, 21)
data = torch.tensor(windows.copy(), dtype=torch.float32)
train, test = data[:850], data[900:]

model = NextValue()
optimizer = torch.optim.Adam(model.parameters(), lr=5e-3)
mse = nn.MSELoss()


def train_epoch(batch_size=50):
    losses = []
    for indices in torch.randperm(len(train)).split(batch_size):
        rows = train[indices]
        loss = mse(model(rows[:, :-1, None]), rows[:, -1:])
        loss.backward()
        optimizer.step()
        losses.append(loss.item())
    return np.mean(losses)


for epoch in range(7):
    train_loss = train_epoch()
    with torch.no_grad():
        test_loss = mse(model(test[:, :-1, None]), test[:, -1:]).item()
    print(f"{epoch}: train {train_loss:.4f} test {test_loss:.4f}")
