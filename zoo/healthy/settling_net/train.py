"""A net without depth: one recurrent cell is iterated until it settles, and only its last turn is differentiated."""
import torch
from sklearn.datasets import load_digits
from sklearn.model_selection import train_test_split
from torch import nn


class Settle(nn.Module):
    def __init__(self, n_in=64, n=64, n_out=10):
        super().__init__()
        self.inject = nn.Linear(n_in, n)
        self.recur = nn.Linear(n, n, bias=False)
        self.read = nn.Linear(n, n_out)
        nn.init.orthogonal_(self.recur.weight, gain=0.5)
        self.turns = 0

    def cell(self, z, drive):
        return torch.tanh(self.recur(z) + drive)

    def forward(self, x):
        drive = self.inject(x)
        with torch.no_grad():
            z = torch.zeros_like(drive)
            for self.turns in range(1, 41):
                new = self.cell(z, drive)
                gap = (new - z).norm() / new.norm()
                z = new
                if gap < 1e-3:
                    break
        return self.read(self.cell(z, drive))


def contract(layer, limit=0.9):
    """Keep the recurrence a contraction, so that it has one resting point."""
    with torch.no_grad():
        size = torch.linalg.matrix_norm(layer.weight, 2)
        if size > limit:
            layer.weight.mul_(limit / size)


torch.manual_seed(40)
digits = load_digits()
parts = train_test_split(digits.data / 16, digits.target, test_size=0.25, random_state=40, stratify=digits.target)
x_train, x_test = (torch.tensor(p, dtype=torch.float32) for p in parts[:2])
y_train, y_test = (torch.tensor(p) for p in parts[2:])
centre = x_train.mean()
x_train, x_test = (x_train - centre) * 2, (x_test - centre) * 2

net = Settle()
optimizer = torch.optim.Adam(net.parameters(), lr=3e-3)
for epoch in range(1, 16):
    for rows in torch.randperm(len(x_train)).split(64):
        loss = nn.functional.cross_entropy(net(x_train[rows]), y_train[rows])
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        contract(net.recur)
    if epoch % 3 == 0:
        turns = net.turns
        with torch.no_grad():
            acc = (net(x_test).argmax(1) == y_test).float().mean().item()
        print(f"epoch {epoch} loss {loss.item():.4f} turns {turns} test acc {acc:.4f}")
