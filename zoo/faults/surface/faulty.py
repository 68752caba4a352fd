import torch
import torch.nn as nn
from sklearn.datasets import make_friedman1
from torch.utils.data import DataLoader, TensorDataset, random_split

torch.manual_seed(3)
X, y = make_friedman1(1600, n_features=8, noise=0.3, random_state=2)
X = torch.tensor(X, dtype=torch.float32) * 2 - 1
y = torch.tensor(y, dtype=torch.float32)
y = ((y - y.mean()) / y.std()).unsqueeze(1)
train, valid = random_split(TensorDataset(X, y), [1300, 300])


class Block(nn.Module):
    def __init__(self, n_in, n_out):
        super().__init__()
        self.fc = nn.Linear(n_in, n_out)
        self.act = nn.ReLU()

    def forward(self, x):
        return self.act(self.fc(x))


model = nn.Sequential(Block(8, 48), Block(48, 48), Block(48, 1))
opt = torch.optim.Adam(model.parameters(), lr=2e-3)
huber = nn.SmoothL1Loss()
for epoch in range(1, 26):
    model.train()
    s = 0.0
    for xb, yb in DataLoader(train, 50, shuffle=True):
        loss = huber(model(xb), yb)
        opt.zero_grad()
        loss.backward()
        opt.step()
        s += loss.item() * len(xb)
    model.eval()
    with torch.no_grad():
        xv, yv = next(iter(DataLoader(valid, len(valid))))
        rmse = (model(xv) - yv).pow(2).mean().sqrt()
    print(f"epoch {epoch:02d} train {s / len(train):.4f} valid rmse {rmse:.4f}")
