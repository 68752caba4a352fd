"""Training in two sessions: the second one goes on from the checkpoint of the first."""

import tempfile
from pathlib import Path

import torch
from sklearn.datasets import make_friedman1
from torch import nn

BATCH = 40


def network():
    return nn.Sequential(nn.Linear(10, 64), nn.SiLU(), nn.Linear(64, 64), nn.SiLU(), nn.Linear(64, 1))


def session(model, optimizer, data, first, last):
    x, y = data
    losses = []
    for _ in range(first, last):
        rows = torch.randint(len(x), (BATCH,))
        loss = nn.functional.mse_loss(model(x[rows])[:, 0], y[rows])
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        losses.append(loss.item())
    return losses


torch.manual_seed(10)
x, y = (torch.tensor(a, dtype=torch.float32) for a in make_friedman1(2000, noise=0.1, random_state=0))
data = ((x - x.mean(0)) / x.std(0), (y - y.mean()) / y.std())
path = Path(tempfile.mkdtemp()) / "checkpoint.pt"

model = network()
optimizer = torch.optim.Adam(model.parameters(), lr=1e-2, betas=(0.9, 0.99))
before = session(model, optimizer, data, 0, 60)
torch.save({"model": model.state_dict(), "optimizer": optimizer.state_dict(), "step": 60}, path)
print(f"first session: {before[0]:.3f} -> {sum(before[-10:]) / 10:.4f}")

checkpoint = torch.load(path)
model = network()
model.load_state_dict(checkpoint["model"])
optimizer = torch.optim.Adam(model.parameters(), lr=1e-2, betas=(0.9, 0.99))
after = session(model, optimizer, data, checkpoint["step"], 150)
print(f"second session: highest of the first ten losses {max(after[:10]):.4f}, end {sum(after[-10:]) / 10:.4f}")
