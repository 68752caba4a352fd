"""Forecast the swing of a pendulum 20 readings ahead, fed with truth less and less often."""
import torch
from torch import nn


def swings(n, length, dt=0.35, substeps=7):
    """Angle of a damped pendulum; the wider it swings, the slower."""
    angle, speed = (torch.rand(n) * 2 - 1) * 2.2, torch.randn(n) * 0.5
    out = []
    for _ in range(length):
        for _ in range(substeps):
            speed = speed + dt / substeps * (-torch.sin(angle) - 0.05 * speed)
            angle = angle + dt / substeps * speed
        out.append(angle)
    return torch.stack(out, 1).unsqueeze(-1) + 0.01 * torch.randn(n, length, 1)


class Forecaster(nn.Module):
    def __init__(self, hidden=64):
        super().__init__()
        self.reader = nn.GRU(1, hidden, batch_first=True)
        self.writer = nn.GRUCell(1, hidden)
        self.out = nn.Sequential(nn.Linear(hidden, hidden), nn.Tanh(), nn.Linear(hidden, 1))

    def forward(self, past, steps, truth=None, p_truth=0.0):
        _, h = self.reader(past)
        state, fed = h[-1], past[:, -1]
        written = []
        for t in range(steps):
            state = self.writer(fed, state)
            point = fed + self.out(state)
            written.append(point)
            if truth is None:
                fed = point
            else:
                coin = torch.rand(len(past), 1) < p_truth
                fed = torch.where(coin, truth[:, t], point.detach())
        return torch.stack(written, 1)


def fit(model, seen=8, ahead=20, epochs=14):
    train, test = swings(960, seen + ahead), swings(300, seen + ahead)
    opt = torch.optim.Adam(model.parameters(), lr=3e-3)
    sched = torch.optim.lr_scheduler.CosineAnnealingLR(opt, epochs)
    huber = nn.SmoothL1Loss(beta=0.3)
    for epoch in range(epochs):
        p_truth = max(0.0, 1 - epoch / 8)
        total, batches = 0.0, torch.randperm(len(train)).split(64)
        for rows in batches:
            past, future = train[rows].split([seen, ahead], dim=1)
            loss = huber(model(past, ahead, future, p_truth), future)
            opt.zero_grad()
            loss.backward()
            nn.utils.clip_grad_norm_(model.parameters(), 1.0)
            opt.step()
            total += loss.item()
        sched.step()
        with torch.no_grad():
            past, future = test.split([seen, ahead], dim=1)
            free = (model(past, ahead) - future).norm(dim=-1).mean()
            still = (past[:, -1:] - future).norm(dim=-1).mean()
        print(f"epoch {epoch} p_truth {p_truth:.2f} loss {total / len(batches):.4f} free-running {free:.3f} (no model {still:.3f})")


torch.manual_seed(29)
fit(Forecaster())
