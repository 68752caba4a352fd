# Grade the severity of an injury (0 to 5) from vital signs. The grades have an order, and the high ones are rare.
import numpy as np
import torch
from sklearn.metrics import cohen_kappa_score, mean_absolute_error
from torch import nn

rng = np.random.default_rng(41)
torch.manual_seed(41)

GRADES = 6
CUTS = np.array([-0.3, 0.9, 2.0, 3.1, 4.2])


def patients(n):
    x = rng.normal(size=(n, 9))
    x[:, 8] = rng.random(n) < 0.3
    latent = 1.2 * x[:, 0] + np.maximum(x[:, 1], 0) * 1.5 - 0.8 * np.tanh(2 * x[:, 2]) * x[:, 3] + 0.7 * x[:, 8] * x[:, 4]
    grade = np.searchsorted(CUTS, latent + 0.35 * rng.logistic(size=n))
    return torch.tensor(x, dtype=torch.float32), torch.tensor(grade)


class RankHead(nn.Module):
    """One score for all thresholds; only the biases tell them apart."""

    def __init__(self, n_in):
        super().__init__()
        self.score = nn.Linear(n_in, 1, bias=False)
        self.bias = nn.Parameter(torch.linspace(1.5, -1.5, GRADES - 1))

    def forward(self, h):
        return self.score(h) + self.bias


train_x, train_y = patients(3000)
test_x, test_y = patients(1000)
mean, std = train_x.mean(0), train_x.std(0)
train_x, test_x = (train_x - mean) / std, (test_x - mean) / std
exceeds = (train_y[:, None] > torch.arange(GRADES - 1)).float()

net = nn.Sequential(nn.Linear(9, 48), nn.SiLU(), nn.Linear(48, 48), nn.SiLU(), RankHead(48))
no_decay = [p for p in net.parameters() if p.ndim == 1]
decay = [p for p in net.parameters() if p.ndim > 1]
optimizer = torch.optim.AdamW([{"params": decay, "weight_decay": 0.02}, {"params": no_decay, "weight_decay": 0.0}], lr=3e-3)
bce = nn.BCEWithLogitsLoss(reduction="none")

for epoch in range(1, 10):
    net.train()
    total = 0.0
    for rows in torch.randperm(len(train_x)).split(60):
        loss = bce(net(train_x[rows]), exceeds[rows]).sum(1).mean()
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        total += loss.item() * len(rows)
    if epoch % 3 == 0:
        net.eval()
        with torch.no_grad():
            predicted = (net(test_x) > 0).sum(1)
        kappa = cohen_kappa_score(test_y, predicted, weights="quadratic")
        off = mean_absolute_error(test_y, predicted)
        print(f"epoch {epoch} loss {total / len(train_x):.4f} grades off {off:.3f} kappa {kappa:.4f}")
