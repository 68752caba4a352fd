"""Group 7, project 2: a surrogate for our ballistics simulator (range of a shot with drag and wind)."""
import math

import torch
import torch.nn as nn


def simulate(p, dt=0.04, steps=330):
    """p: N x 5 (speed, elevation in degrees, drag, wind, height of the wall). Returns where each shot lands."""
    speed, angle, drag, wind, y = p.unbind(1)
    x = torch.zeros_like(y)
    vx = speed * torch.cos(angle * math.pi / 180)
    vy = speed * torch.sin(angle * math.pi / 180)
    landed = torch.zeros_like(y)
    flying = torch.ones_like(y, dtype=torch.bool)
    for _ in range(steps):
        rel = vx - wind
        v = torch.sqrt(rel ** 2 + vy ** 2)
        vx = vx - dt * drag * v * rel
        vy = vy - dt * (9.81 + drag * v * vy)
        x, y = x + dt * vx, y + dt * vy
        hit = flying & (y < 0)
        landed[hit] = x[hit]
        flying = flying & ~hit
    landed[flying] = x[flying]
    return landed


def draw_shots(n):
    low = torch.tensor([20.0, 15.0, 0.0, -8.0, 0.0])
    high = torch.tensor([60.0, 75.0, 0.02, 8.0, 15.0])
    p = low + (high - low) * torch.rand(n, 5)
    return p, simulate(p)


class Surrogate(nn.Module):
    def __init__(self, n_in=5, width=96, depth=4):
        super().__init__()
        self.first = nn.Linear(n_in, width)
        self.hidden = [nn.Linear(width, width) for _ in range(depth)]
        self.last = nn.Linear(width, 1)
        self.act = nn.ReLU()

    def forward(self, x):
        x = self.act(self.first(x))
        for layer in self.hidden:
            x = self.act(layer(x))
        return self.last(x).squeeze(-1)


def evaluate(model, x, y, y_std):
    model.eval()
    with torch.no_grad():
        err = (model(x) - y) * y_std
    return err.pow(2).mean().sqrt().item()


def main():
    torch.manual_seed(7)
    p_train, r_train = draw_shots(5000)
    p_test, r_test = draw_shots(1000)
    mu, sd = p_train.mean(0), p_train.std(0)
    y_mu, y_sd = r_train.mean(), r_train.std()
    x_train, x_test = (p_train - mu) / sd, (p_test - mu) / sd
    y_train, y_test = (r_train - y_mu) / y_sd, (r_test - y_mu) / y_sd

    model = Surrogate()
    optimizer = torch.optim.Adam(model.parameters(), lr=2e-3)
    scheduler = torch.optim.lr_scheduler.CosineAnnealingLR(optimizer, T_max=12)
    for epoch in range(12):
        model.train()
        total = 0.0
        for idx in torch.randperm(len(x_train)).split(128):
            optimizer.zero_grad()
            loss = nn.functional.mse_loss(model(x_train[idx]), y_train[idx])
            loss.backward()
            optimizer.step()
            total += loss.item() * len(idx)
        scheduler.step()
        rmse = evaluate(model, x_test, y_test, y_sd)
        print(f"epoch {epoch + 1:2d}  train {total / len(x_train):.5f}  test rmse {rmse:.2f} m")


if __name__ == "__main__":
    main()
