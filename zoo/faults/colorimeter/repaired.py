import numpy as np
import torch
from torch import nn
from torch.utils.data import DataLoader, Dataset

CHANNELS = 14


def measure(n, rng):
    """Counts of photodiodes behind a cuvette (12-bit converter), and how much of two dyes is in it."""
    dye = rng.uniform(0, 1, size=(n, 2))
    wavelength = np.linspace(0, 1, CHANNELS)
    absorb_a = 1.6 * np.exp(-(((wavelength - 0.35) / 0.15) ** 2))
    absorb_b = 1.3 * np.exp(-(((wavelength - 0.55) / 0.2) ** 2))
    lamp = 3500 * np.exp(-(((wavelength - 0.6) / 0.6) ** 2))
    light = lamp * np.exp(-dye[:, :1] * absorb_a - dye[:, 1:] * absorb_b)
    counts = rng.poisson(np.maximum(light, 1)).clip(0, 4095)
    return counts.astype(np.int32), dye.astype(np.float32)


def make_scaler(reference):
    low = reference.min(axis=0)
    high = reference.max(axis=0)

    def scale(counts):
        scaled = np.zeros(counts.shape, dtype=np.float32)
        for j in range(counts.shape[1]):
            scaled[:, j] = 2 * (counts[:, j] - low[j]) / (high[j] - low[j]) - 1
        return scaled

    return scale


class Cuvettes(Dataset):
    def __init__(self, counts, dye, scale):
        self.x = torch.as_tensor(scale(counts), dtype=torch.float32)
        self.y = torch.as_tensor(dye)

    def __len__(self):
        return len(self.x)

    def __getitem__(self, i):
        return self.x[i], self.y[i]


def build(n_train, n_test):
    rng = np.random.default_rng(np.random.randint(2**31))
    train, test = measure(n_train, rng), measure(n_test, rng)
    scale = make_scaler(train[0])
    return Cuvettes(*train, scale), Cuvettes(*test, scale)


def make_step(net, opt):
    loss_fn = nn.MSELoss()

    def step(x, y):
        net.train()
        opt.zero_grad()
        loss = loss_fn(net(x), y)
        loss.backward()
        opt.step()
        return loss.item()

    return step


np.random.seed(31)
torch.manual_seed(31)
train_set, test_set = build(1200, 400)
net = nn.Sequential(nn.Linear(CHANNELS, 40), nn.SiLU(), nn.Linear(40, 40), nn.SiLU(), nn.Linear(40, 2))
opt = torch.optim.AdamW(net.parameters(), lr=3e-3)
step = make_step(net, opt)
loader = DataLoader(train_set, batch_size=48, shuffle=True)
for epoch in range(24):
    losses = [step(x, y) for x, y in loader]
    if epoch % 6 == 5:
        print(f"epoch {epoch + 1} mse {np.mean(losses):.5f}")

net.eval()
with torch.no_grad():
    miss = (net(test_set.x) - test_set.y).abs().mean().item()
print(f"mean absolute error of the concentration: {miss:.4f}")
