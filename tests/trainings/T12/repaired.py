"""Digits, with early stopping: the best model of all epochs is tested in the end."""

import copy

import torch
from sklearn.datasets import load_digits
from torch import nn

torch.manual_seed(3)
x, y = (torch.tensor(a) for a in load_digits(return_X_y=True))
x = (x.float() - 4.9) / 6.0
order = torch.randperm(len(x), generator=torch.Generator().manual_seed(0))
train, valid, test = order[:1200], order[1200:1500], order[1500:]


def evaluate(model, rows):
    with torch.no_grad():
        out = model(x[rows])
    return nn.functional.cross_entropy(out, y[rows]).item(), (out.argmax(1) == y[rows]).float().mean().item()


model = nn.Sequential(nn.Linear(64, 96), nn.ReLU(), nn.Linear(96, 48), nn.ReLU(), nn.Linear(48, 10))
optimizer = torch.optim.Adam(model.parameters(), lr=2e-3)
loader = torch.utils.data.DataLoader(torch.utils.data.TensorDataset(x[train], y[train]), batch_size=64, shuffle=True)
best_loss, best_state = float("inf"), None
for _ in range(14):
    for xs, ys in loader:
        loss = nn.functional.cross_entropy(model(xs), ys)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
    val_loss, val_acc = evaluate(model, valid)
    if val_loss < best_loss:
        best_loss = val_loss
        best_state = copy.deepcopy(model.state_dict())
model.load_state_dict(best_state)
print("test loss {:.3f} accuracy {:.3f}".format(*evaluate(model, test)))
