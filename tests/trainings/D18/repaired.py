import torch
from torch import nn
from torch.utils.data import DataLoader, TensorDataset


def house_prices(n, generator):
    """Invented houses: area, age, rooms, distance; the price in thousands."""
    x = torch.randn(n, 4, generator=generator)
    price = 310 + 70 * x[:, 0] - 25 * x[:, 1].abs() + 30 * torch.tanh(x[:, 2]) - 20 * x[:, 3]
    return x, price + 8 * torch.randn(n, generator=generator)


g = torch.Generator().manual_seed(21)
torch.manual_seed(21)
x, y = house_prices(1200, g)
y = (y - y.mean()) / y.std()
loader = DataLoader(TensorDataset(x[:1000], y[:1000]), batch_size=50, shuffle=True, generator=g)
model = nn.Sequential(nn.Linear(4, 48), nn.GELU(), nn.Linear(48, 1))
loss_fn = nn.MSELoss()
optimizer = torch.optim.Adam(model.parameters(), lr=3e-3)
for epoch in range(6):
    for xb, yb in loader:
        prediction = model(xb)[:, 0]
        loss = loss_fn(prediction, yb)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
    with torch.no_grad():
        error = (model(x[1000:])[:, 0] - y[1000:]).pow(2).mean() / y[1000:].var()
    print(f"epoch {epoch}: unexplained share {error.item():.3f}")
