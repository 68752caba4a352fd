import torch
from torch import nn, optim

torch.manual_seed(21)


def simulate(n):
    outside = torch.empty(n).uniform_(-12, 18)
    flow = torch.empty(n).uniform_(28, 55)
    load = torch.empty(n).uniform_(0.2, 1.0)
    lift = flow - outside
    cop = 0.45 * (flow + 273.15) / lift.clamp_min(12.0) * (0.85 + 0.25 * load - 0.2 * load ** 2)
    cop = cop + 0.05 * torch.randn(n)
    feats = torch.stack([(outside - 3) / 9, (flow - 41) / 8, (load - 0.6) / 0.23], dim=1)
    return feats, cop


x_tr, y_tr = simulate(2000)
x_te, y_te = simulate(500)
y_mu, y_sd = y_tr.mean(), y_tr.std()

net = nn.Sequential(nn.Linear(3, 48), nn.SiLU(), nn.Linear(48, 48), nn.SiLU(), nn.Linear(48, 1))
opt = optim.Adam(net.parameters(), lr=2e-3)
mse = nn.MSELoss()


def rmse(features, truth):
    net.eval()
    with torch.no_grad():
        guess = net(features) * y_sd + y_mu
        err = torch.sqrt(torch.mean((guess - truth) ** 2))
    net.train()
    return err.item()


step = 0
while step < 700:
    pick = torch.randint(0, len(x_tr), (64,))
    target = ((y_tr[pick] - y_mu) / y_sd).unsqueeze(1)
    opt.zero_grad()
    loss = mse(net(x_tr[pick]), target)
    loss.backward()
    opt.step()
    step += 1
    if step % 100 == 0:
        print(f"step {step}: train mse {loss.item():.4f}, test rmse {rmse(x_te, y_te):.4f}")
