"""Transfer from digits 0-4 to digits 5-9: the body of a trained network goes on with little data."""

import tempfile
from pathlib import Path

import torch
from sklearn.datasets import load_digits
from torch import nn


class Network(nn.Module):
    def __init__(self):
        super().__init__()
        self.body = nn.Sequential(nn.Linear(64, 96), nn.ReLU(), nn.Linear(96, 48), nn.ReLU())
        self.head = nn.Linear(48, 5)

    def forward(self, x):
        return self.head(self.body(x))


def train(model, x, y, epochs, lr):
    optimizer = torch.optim.Adam(model.parameters(), lr=lr)
    for _ in range(epochs):
        for rows in torch.randperm(len(x)).split(32):
            loss = nn.functional.cross_entropy(model(x[rows]), y[rows])
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
    return loss.item()


torch.manual_seed(11)
x, y = (torch.tensor(a) for a in load_digits(return_X_y=True))
x = (x.float() - 4.9) / 6.0
path = Path(tempfile.mkdtemp()) / "pretrained.pt"

teacher = nn.DataParallel(Network())
weights = teacher.state_dict()
generator = torch.Generator().manual_seed(3)
torch.save({k: v + 0.05 * torch.randn(v.shape, generator=generator) for k, v in weights.items()}, path)

model = Network()
state = {k: v for k, v in torch.load(path).items() if ".head." not in k}
print(model.load_state_dict(state, strict=False).missing_keys[-2:])
few = torch.nonzero(y >= 5)[:320, 0]
print(f"fine-tuned: {train(model, x[few], y[few] - 5, 12, 2e-3):.4f}")
