"""Disease progression from ten measurements, with dropout."""

import torch
from sklearn.datasets import load_diabetes
from torch import nn
from torch.utils.data import DataLoader, TensorDataset

torch.manual_seed(2)
x, y = load_diabetes(return_X_y=True, scaled=False)
x, y = torch.tensor(x, dtype=torch.float32), torch.tensor(y, dtype=torch.float32)
x = (x - x[:350].mean(0)) / x[:350].std(0)
y = (y - y[:350].mean()) / y[:350].std()
loader = DataLoader(TensorDataset(x[:350], y[:350]), batch_size=32, shuffle=True)
model = nn.Sequential(
    nn.Linear(10, 32),
    nn.ReLU(),
    nn.Dropout(0.3),
    nn.Linear(32, 1),
)
optimizer = torch.optim.Adam(model.parameters(), lr=3e-3)

for epoch in range(20):
    model.train()
    for a, b in loader:
        loss = nn.functional.mse_loss(model(a).squeeze(1), b)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
    model.eval()
    with torch.no_grad():
        loss = nn.functional.mse_loss(model(x[350:]).squeeze(1), y[350:])
    print(f"epoch {epoch}: test loss {loss.item():.3f}")
