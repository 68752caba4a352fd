import torch
from sklearn.datasets import make_moons
from torch import nn

torch.manual_seed(1)
X, y = make_moons(1200, noise=0.12, random_state=0)
X = torch.tensor((X - X.mean(0)) / X.std(0), dtype=torch.float32)
y = torch.tensor(y, dtype=torch.float32)
x_tr, y_tr, x_te, y_te = X[:900], y[:900], X[900:], y[900:]


class Net(nn.Module):
    def __init__(self, width=24):
        super().__init__()
        self.blocks = nn.ModuleList([nn.Linear(2, width), nn.Linear(width, width)])
        self.last = nn.Linear(width, 1)
        self.apply(self._setup)

    @staticmethod
    def _setup(m):
        if isinstance(m, nn.Linear):
            nn.init.constant_(m.weight, 0.05)
            nn.init.zeros_(m.bias)

    def forward(self, x):
        for b in self.blocks:
            x = torch.tanh(b(x))
        return self.last(x).squeeze(-1)


net = Net()
optim = torch.optim.Adam(net.parameters(), lr=5e-3)
bce = nn.BCEWithLogitsLoss()
for epoch in range(60):
    order = torch.randperm(len(x_tr))
    acc_loss = 0.0
    for k in range(0, len(order), 60):
        sel = order[k:k + 60]
        optim.zero_grad()
        loss = bce(net(x_tr[sel]), y_tr[sel])
        loss.backward()
        optim.step()
        acc_loss += loss.item()
    if (epoch + 1) % 10 == 0:
        with torch.no_grad():
            acc = ((net(x_te) > 0).float() == y_te).float().mean().item()
        print(f"{epoch + 1:3d} | loss {acc_loss / 15:.4f} | acc {acc:.4f}")
