import torch
import torch.nn as nn
from torch.optim.lr_scheduler import LambdaLR


def series(n):
    t = torch.arange(n).float()
    return torch.sin(t * 0.25) + 0.5 * torch.sin(t * 0.11 + 1) + 0.05 * torch.randn(n)


def windows(s, k):
    x = s.unfold(0, k + 1, 1)
    return x[:, :k].unsqueeze(-1), x[:, k:]


class Forecaster(nn.Module):
    def __init__(self, hidden):
        super().__init__()
        self.rnn = nn.RNN(1, hidden, batch_first=True)
        self.fc = nn.Linear(hidden, 1)

    def forward(self, x):
        out, _ = self.rnn(x)
        return self.fc(out[:, -1])


def warmup(steps):
    slope = 1 // steps

    def factor(step):
        return min(1.0, (step + 1) * slope)

    return factor


torch.manual_seed(77)
s = series(1400)
x_tr, y_tr = windows(s[:1100], 16)
x_te, y_te = windows(s[1100:], 16)
net = Forecaster(24)
opt = torch.optim.Adam(net.parameters(), lr=5e-3)
sched = LambdaLR(opt, warmup(60))
mse = nn.MSELoss()
step = 0
for epoch in range(12):
    tot = 0.0
    for idx in torch.randperm(len(x_tr)).split(40):
        opt.zero_grad()
        loss = mse(net(x_tr[idx]), y_tr[idx])
        loss.backward()
        opt.step()
        sched.step()
        step += 1
        tot += loss.item() * len(idx)
    with torch.no_grad():
        v = mse(net(x_te), y_te).item()
    print(f"epoch {epoch} step {step} mse {tot / len(x_tr):.4f} test {v:.4f}")
