"""A small net with many poor minima: six starts of one epoch each, then the best of them is trained on."""

import copy
import torch
from torch import nn
from torch.utils.data import DataLoader, TensorDataset

torch.manual_seed(0)
x = torch.rand(1200, 2) * 4 - 2
y = (torch.sin(3 * x[:, :1]) * torch.cos(2 * x[:, 1:])) + 0.02 * torch.randn(1200, 1)
loader = DataLoader(TensorDataset(x[:1000], y[:1000]), batch_size=20, shuffle=True)
xv, yv = x[1000:], y[1000:]
net = nn.Sequential(nn.Linear(2, 24), nn.Tanh(), nn.Linear(24, 24), nn.Tanh(), nn.Linear(24, 1))
mse = nn.MSELoss()


def start(m):
    if isinstance(m, nn.Linear):
        nn.init.normal_(m.weight, std=1.2 / m.in_features**0.5)
        nn.init.uniform_(m.bias, -1, 1)


def one_epoch(opt):
    for xb, yb in loader:
        opt.zero_grad()
        mse(net(xb), yb).backward()
        opt.step()
    with torch.no_grad():
        return mse(net(xv), yv).item()


best, state = float("inf"), None
for attempt in range(6):
    net.apply(start)
    value = one_epoch(torch.optim.Adam(net.parameters(), lr=5e-3))
    print(f"start {attempt}: {value:.4f}")
    if value < best:
        best, state = value, copy.deepcopy(net.state_dict())
net.load_state_dict(state)
opt = torch.optim.Adam(net.parameters(), lr=5e-3)
for epoch in range(20):
    value = one_epoch(opt)
    if epoch % 4 == 3:
        print(f"epoch {epoch}: val mse {value:.4f}")
