"""Load of the carts from the axle sensors. Started from the `first regression` blog post."""
import os
import random

import numpy as np
import torch
from torch import nn
from torch.utils.data import DataLoader, TensorDataset

seed = int(os.environ.get("SEED", "0"))
random.seed(seed)
np.random.seed(seed)
torch.manual_seed(seed)

HPARAMS = dict(
    lr=1e-2,
    momentum=0.9,
    batch_size=32,
    epochs=17,
    hidden=64,
)


def sensors(n):
    load = np.random.uniform(0, 4, n)
    tilt = np.random.normal(0, 0.5, n)
    temp = np.random.normal(0, 1, n)
    front = np.sqrt(load + 0.2) * (1 + 0.3 * tilt) + 0.03 * temp
    rear = np.sqrt(load + 0.2) * (1 - 0.3 * tilt) + 0.03 * temp
    x = np.stack([front, rear, temp], 1) + 0.02 * np.random.randn(n, 3)
    x = (x - np.array([1.4, 1.4, 0])) / np.array([0.6, 0.6, 1.0])
    y = (load - 2.0) / 1.15
    return torch.tensor(x, dtype=torch.float32), torch.tensor(y, dtype=torch.float32).unsqueeze(1)


def r2(pred, true):
    return (1 - ((pred - true) ** 2).sum() / ((true - true.mean()) ** 2).sum()).item()


class Regressor(nn.Module):
    def __init__(self, hidden):
        super().__init__()
        self.hidden1 = nn.Linear(3, hidden)
        self.hidden2 = nn.Linear(hidden, hidden)
        self.predict = nn.Linear(hidden, 1)

    def forward(self, x):
        x = torch.tanh(self.hidden1(x))
        x = torch.tanh(self.hidden2(x))
        return self.predict(x)


train_x, train_y = sensors(2000)
test_x, test_y = sensors(500)
loader = DataLoader(TensorDataset(train_x, train_y), batch_size=HPARAMS["batch_size"], shuffle=True)
model = Regressor(HPARAMS["hidden"])
loss_func = nn.MSELoss()
optimizer = torch.optim.SGD(model.parameters(), lr=HPARAMS["lr"], momentum=HPARAMS["momentum"])

for epoch in range(HPARAMS["epochs"]):
    model.train()
    losses = []
    for bx, by in loader:
        loss = loss_func(model(bx), by)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        losses.append(loss.item())
    if epoch % 3 == 0:
        model.eval()
        with torch.no_grad():
            print(f"epoch {epoch:3d} | loss {np.mean(losses):.4f} | r2 {r2(model(test_x), test_y):.4f}")

model.eval()
with torch.no_grad():
    print(f"R2 on the test carts: {r2(model(test_x), test_y):.4f}")
