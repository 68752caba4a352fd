"""Joint class / intensity model on the wine table."""
import torch
import torch.nn as nn
import torch.nn.functional as F
from sklearn.datasets import load_wine

torch.manual_seed(4)
table = load_wine()
X = torch.tensor(table.data, dtype=torch.float32)
X = (X - X.mean(0)) / X.std(0)
cls = torch.tensor(table.target)
color = X[:, 9].clone()
feats = torch.cat([X[:, :9], X[:, 10:]], 1)
perm = torch.randperm(len(X))
tr, te = perm[:140], perm[140:]


class TwoHead(nn.Module):
    def __init__(self):
        super().__init__()
        self.trunk = nn.Sequential(nn.Linear(12, 40), nn.ReLU(), nn.Linear(40, 24), nn.ReLU())
        self.kind = nn.Linear(24, 3)
        self.tone = nn.Linear(24, 1)

    def forward(self, x):
        h = self.trunk(x)
        return self.kind(h), self.tone(h)[:, 0]


def step(model, opt, idx):
    opt.zero_grad()
    a, b = model(feats[idx])
    parts = [F.cross_entropy(a, cls[idx]), 0.5 * F.mse_loss(b, color[idx])]
    loss = torch.tensor([p.item() for p in parts], requires_grad=True).sum()
    loss.backward()
    opt.step()
    return loss.item()


model = TwoHead()
opt = torch.optim.Adam(model.parameters(), lr=3e-3)
for epoch in range(40):
    order = tr[torch.randperm(len(tr))]
    total = [step(model, opt, idx) for idx in order.split(20)]
    if epoch % 4 == 3:
        with torch.no_grad():
            a, b = model(feats[te])
        acc = (a.argmax(1) == cls[te]).float().mean()
        print(f"epoch {epoch + 1:3d} loss {sum(total) / len(total):.4f} acc {acc:.3f} tone mse {F.mse_loss(b, color[te]):.3f}")
