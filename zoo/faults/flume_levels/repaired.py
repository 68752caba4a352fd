"""Water level in a flume 8 samples ahead, with a small temporal convolutional network."""
import numpy as np
import torch
import torch.nn as nn
from torch.utils.data import DataLoader, TensorDataset


def flume(n, seed):
    rng = np.random.default_rng(seed)
    t = np.arange(n)
    level = np.sin(2 * np.pi * t / 37) + 0.6 * np.sin(2 * np.pi * t / 11 + 0.8 * np.sin(2 * np.pi * t / 90))
    drive = np.zeros(n)
    for i in range(1, n):
        drive[i] = 0.97 * drive[i - 1] + 0.1 * rng.normal()
    return (level * (1 + 0.4 * drive) + 0.03 * rng.normal(size=n)).astype(np.float32)


class CausalConv(nn.Conv1d):
    def __init__(self, c_in, c_out, k, dilation):
        super().__init__(c_in, c_out, k, dilation=dilation)
        self.left = (k - 1) * dilation

    def forward(self, x):
        return super().forward(nn.functional.pad(x, (self.left, 0)))


class Block(nn.Module):
    def __init__(self, c_in, c_out, dilation):
        super().__init__()
        self.conv1 = CausalConv(c_in, c_out, 3, dilation)
        self.conv2 = CausalConv(c_out, c_out, 3, dilation)
        self.match = nn.Conv1d(c_in, c_out, 1) if c_in != c_out else None
        self.c_out = c_out

    def forward(self, x):
        y = self.conv2(torch.relu(self.conv1(x)))
        if x.shape[1] != self.c_out:
            x = self.match(x)
        return torch.relu(x + y)


class TCN(nn.Module):
    def __init__(self, channels=(12, 24, 24)):
        super().__init__()
        sizes = (1, *channels)
        self.blocks = nn.Sequential(*[Block(a, b, 2**i) for i, (a, b) in enumerate(zip(sizes, sizes[1:]))])
        self.readout = nn.Linear(channels[-1], 1)

    def forward(self, x):
        return self.readout(self.blocks(x)[:, :, -1])


class Trainer:
    def __init__(self, model, train_set, val_set, lr=1.5e-3):
        self.model = model
        self.train_loader = DataLoader(train_set, batch_size=32, shuffle=True)
        self.val_loader = DataLoader(val_set, batch_size=256)
        self.optimizer = torch.optim.Adam(model.parameters(), lr=lr)
        self.schedule = torch.optim.lr_scheduler.ExponentialLR(self.optimizer, gamma=0.85)
        self.criterion = nn.MSELoss()

    def run_epoch(self):
        self.model.train()
        for x, y in self.train_loader:
            self.optimizer.zero_grad()
            loss = self.criterion(self.model(x), y)
            loss.backward()
            self.optimizer.step()

    @torch.no_grad()
    def validate(self):
        self.model.eval()
        err = sum(((self.model(x) - y) ** 2).sum().item() for x, y in self.val_loader)
        return (err / len(self.val_loader.dataset)) ** 0.5

    def fit(self, epochs):
        for epoch in range(1, epochs + 1):
            self.run_epoch()
            self.schedule.step()
            print(f"epoch {epoch}: val rmse {self.validate():.4f}")


def windows(series, length=48, ahead=8):
    w = torch.from_numpy(series).unfold(0, length + ahead, 2)
    return TensorDataset(w[:, None, :length].contiguous(), w[:, -1:].contiguous())


torch.manual_seed(8)
series = flume(4000, 8)
scale = series[:3000].std()
trainer = Trainer(TCN(), windows(series[:3000] / scale), windows(series[3000:] / scale))
trainer.fit(12)
