import torch
from sklearn.datasets import make_friedman1
from torch import nn

torch.manual_seed(3)
x, y = make_friedman1(900, n_features=6, noise=0.2, random_state=1)
x = torch.tensor((x - x.mean(0)) / x.std(0), dtype=torch.float32)
y = torch.tensor((y - y.mean()) / y.std(), dtype=torch.float32)
model = nn.Sequential(nn.Linear(6, 32), nn.ReLU(), nn.Linear(32, 32), nn.ReLU(), nn.Linear(32, 1))
sgd = torch.optim.SGD(model.parameters(), lr=0.05)
scaler = torch.amp.GradScaler("cpu", init_scale=512.0)
for epoch in range(6):
    for rows in torch.randperm(700).split(28):
        sgd.zero_grad()
        with torch.autocast("cpu", dtype=torch.bfloat16):
            out = model(x[rows]).squeeze(1)
        loss = nn.functional.mse_loss(out.float(), y[rows])
        scaler.scale(loss).backward()
        scaler.step(sgd)
        scaler.update()
    with torch.no_grad():
        held = nn.functional.mse_loss(model(x[700:]).squeeze(1), y[700:]).item()
    print(f"epoch {epoch}: loss {loss.item():.4f} held-out {held:.4f}")
