"""Weight of a stone from its three diameters and the shade."""
import os
import random
import numpy as np
import torch
import torch.nn as nn
import torch.utils.data as data_utils

seed = int(os.environ.get("SEED", "0"))
random.seed(seed)
np.random.seed(seed)
torch.manual_seed(seed)


def collect(n):
    a = np.random.uniform(1, 4, (n, 3))
    shade = np.random.uniform(0, 1, (n, 1))
    weight = 0.52 * a.prod(1) * (2.2 + 0.8 * shade[:, 0]) * np.random.normal(1, 0.03, n)
    return np.hstack([a, shade]).astype(np.float32), np.log(weight).astype(np.float32)


class Model(nn.Module):
    def __init__(self):
        super().__init__()
        self.lin1 = nn.Linear(4, 100)
        self.lin2 = nn.Linear(100, 100)
        self.lin3 = nn.Linear(100, 1)

    def forward(self, x):
        x = torch.sigmoid(self.lin1(x))
        x = torch.sigmoid(self.lin2(x))
        return self.lin3(x)[:, 0]


x_train, y_train = collect(3000)
x_test, y_test = collect(700)
m, s = x_train.mean(0), x_train.std(0)
x_train, x_test = torch.from_numpy((x_train - m) / s), torch.from_numpy((x_test - m) / s)
y_train, y_test = torch.from_numpy(y_train), torch.from_numpy(y_test)
train = data_utils.TensorDataset(x_train, y_train)
# the set is small enough for the memory
train_loader = data_utils.DataLoader(train, batch_size=30, shuffle=True)
model = Model()
loss_fn = nn.MSELoss()
optimizer = torch.optim.Adam(model.parameters(), lr=1e-3)

EPOCHS = 20
for epoch in range(EPOCHS):
    model.train()
    for x, y in train_loader:
        y_pred = model(x)
        loss = loss_fn(y_pred, y)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
    if epoch % 5 == 0 or epoch == EPOCHS - 1:
        model.eval()
        with torch.no_grad():
            test_mse = loss_fn(model(x_test), y_test).item()
        print(f"epoch {epoch}: last loss {loss.item():.4f}, test mse {test_mse:.4f}")

print(f"share of variance left: {test_mse / y_test.var().item():.4f}")
