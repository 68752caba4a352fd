"""Sort photographed yacht pennants by their design (8 designs, any colours)."""
import numpy as np
import torch
import torch.nn as nn
import torch.nn.functional as F
from torch.utils.data import DataLoader, TensorDataset

torch.manual_seed(11)
rng = np.random.default_rng(11)

SIZE = 24
DESIGNS = ["border", "tricolour-h", "tricolour-v", "cross", "saltire", "disc", "chequy", "per-bend"]
PALETTE = np.array([[.85, .1, .1], [.1, .2, .7], [.95, .85, .1], [.95, .95, .95], [.05, .05, .05], [.1, .5, .2]])


def mask_of(kind):
    yy, xx = np.mgrid[0:SIZE, 0:SIZE] / (SIZE - 1.0)
    xx = xx + rng.uniform(-.06, .06)
    yy = yy + rng.uniform(-.06, .06)
    w = rng.uniform(.10, .15)
    if kind == 0:
        return (np.minimum(np.minimum(xx, 1 - xx), np.minimum(yy, 1 - yy)) < w + .03)
    if kind == 1:
        return abs(yy - .5) < w + .06
    if kind == 2:
        return abs(xx - .5) < w + .06
    if kind == 3:
        return (abs(xx - .4) < w) | (abs(yy - .5) < w)
    if kind == 4:
        return (abs(xx - yy) < w) | (abs(xx + yy - 1) < w)
    if kind == 5:
        return (xx - .5) ** 2 + (yy - .5) ** 2 < (w + .15) ** 2
    if kind == 6:
        return (np.floor(xx * 4) + np.floor(yy * 4)) % 2 == 0
    return xx > yy


def photograph(kind):
    a, b = rng.choice(len(PALETTE), 2, replace=False)
    m = mask_of(kind)[..., None]
    img = np.where(m, PALETTE[a], PALETTE[b]) * rng.uniform(.7, 1.1)
    img = img + rng.normal(0, .12, img.shape)
    return img.transpose(2, 0, 1)


def collect(n):
    kinds = rng.integers(0, len(DESIGNS), n)
    imgs = np.stack([photograph(k) for k in kinds])
    return torch.tensor(imgs, dtype=torch.float32), torch.tensor(kinds)


class PennantNet(nn.Module):
    def __init__(self, n_classes):
        super().__init__()
        self.conv1 = nn.Conv2d(3, 16, 5, padding=2)
        self.conv2 = nn.Conv2d(16, 32, 3, padding=1)
        self.conv3 = nn.Conv2d(32, 32, 3, padding=1)
        self.fc6 = nn.Linear(32 * 3 * 3, 96)
        self.fc7 = nn.Linear(96, 64)
        self.fc8 = nn.Linear(64, n_classes)
        self.drop = nn.Dropout(0.3)

    def forward(self, x):
        x = F.max_pool2d(F.relu(self.conv1(x)), 2)
        x = F.max_pool2d(F.relu(self.conv2(x)), 2)
        x = F.max_pool2d(F.relu(self.conv3(x)), 2)
        x = self.drop(x.flatten(1))
        x = self.drop(F.relu(self.fc6(x)))
        x = F.relu(self.fc7(x))
        x = self.fc8(x)
        return F.log_softmax(x, dim=1)


train_x, train_y = collect(1800)
test_x, test_y = collect(600)
mean = train_x.mean(dim=(0, 2, 3), keepdim=True)
std = train_x.std(dim=(0, 2, 3), keepdim=True)
train_x, test_x = (train_x - mean) / std, (test_x - mean) / std

loader = DataLoader(TensorDataset(train_x, train_y), batch_size=32, shuffle=True)
net = PennantNet(len(DESIGNS))
criterion = nn.NLLLoss()
optimizer = torch.optim.Adam(net.parameters(), lr=1e-3)

for epoch in range(12):
    net.train()
    running = 0.0
    for x, y in loader:
        optimizer.zero_grad()
        loss = criterion(net(x), y)
        loss.backward()
        optimizer.step()
        running += loss.item() * len(y)
    print(f"epoch {epoch + 1:2d}  nll {running / len(train_y):.4f}")

net.eval()
with torch.no_grad():
    guess = net(test_x).argmax(1)
for k, name in enumerate(DESIGNS):
    print(f"  {name:12s} recall {(guess[test_y == k] == k).float().mean().item():.2f}")
print(f"test accuracy {(guess == test_y).float().mean().item():.4f}")
