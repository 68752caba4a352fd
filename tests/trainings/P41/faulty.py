import torch
from sklearn.datasets import load_diabetes
from torch import nn

torch.manual_seed(2)
data = load_diabetes()
x = torch.tensor((data.data - data.data.mean(0)) / data.data.std(0), dtype=torch.float32)
y = torch.tensor((data.target - data.target.mean()) / data.target.std(), dtype=torch.float32)
model = nn.Sequential(nn.Linear(10, 32), nn.ReLU(), nn.Linear(32, 1))
peak, total = 0.02, 12 * 12


def warm_then_decay(step):
    return peak * min(1.0, (step + 1) / 10) * (1 - step / total)


adam = torch.optim.Adam(model.parameters(), lr=peak)
schedule = torch.optim.lr_scheduler.LambdaLR(adam, warm_then_decay)
for epoch in range(12):
    for rows in torch.randperm(360).split(32):
        loss = nn.functional.mse_loss(model(x[rows]).squeeze(1), y[rows])
        adam.zero_grad()
        loss.backward()
        adam.step()
        schedule.step()
    with torch.no_grad():
        held = nn.functional.mse_loss(model(x[360:]).squeeze(1), y[360:]).item()
    print(f"epoch {epoch}: loss {loss.item():.3f} held-out {held:.3f}")
