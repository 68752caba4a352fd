import math

import torch
import torch.nn.functional as F
from torch import nn

torch.manual_seed(11)
WINDOW, HORIZON = 24, 40


def swing(n, start):
    """Angle of a pendulum that loses little energy, sampled with a little noise."""
    angle, speed, out, dt = start, 0.0, [], 0.05
    for k in range(n * 4):
        speed -= dt * (math.sin(angle) + 0.004 * speed)
        angle += dt * speed
        if k % 4 == 0:
            out.append(angle)
    return torch.tensor(out) + 0.01 * torch.randn(n)


def windows(track):
    x = track.unfold(0, WINDOW, 1)
    y = track[WINDOW:]
    return x, y


tracks = [swing(400, float(s)) for s in torch.empty(8).uniform_(0.6, 2.0)]
held_out = [swing(400, float(s)) for s in torch.empty(4).uniform_(0.7, 1.9)]
mean = torch.cat(tracks).mean()
std = torch.cat(tracks).std()
pairs = [windows((t - mean) / std) for t in tracks]
inputs = torch.cat([p[0][: len(p[1])] for p in pairs])
targets = torch.cat([p[1] for p in pairs])

net = nn.Sequential(nn.Linear(WINDOW, 64), nn.Tanh(), nn.Linear(64, 64), nn.Tanh(), nn.Linear(64, 1))
opt = torch.optim.Adam(net.parameters(), lr=2e-3)
sched = torch.optim.lr_scheduler.CosineAnnealingLR(opt, T_max=20)

for epoch in range(20):
    order = torch.randperm(len(inputs))
    running = 0.0
    for idx in order.split(64):
        pred = net(inputs[idx]).squeeze(1)
        loss = F.mse_loss(pred, targets[idx])
        opt.zero_grad()
        loss.backward()
        opt.step()
        running += loss.item() * len(idx)
    sched.step()
    if epoch % 4 == 3:
        print(f"epoch {epoch + 1:2d}  mse {running / len(inputs):.5f}")

net.eval()
errors = []
with torch.no_grad():
    for track in held_out:
        z = (track - mean) / std
        for begin in range(0, 300, 30):
            past = z[begin : begin + WINDOW]
            for _ in range(HORIZON):
                past = torch.cat([past, net(past[-WINDOW:][None]).view(1)])
            truth = z[begin + WINDOW : begin + WINDOW + HORIZON]
            errors.append(F.mse_loss(past[WINDOW:], truth))
print(f"free-running forecast over {HORIZON} samples: mse {torch.stack(errors).mean():.4f}")
