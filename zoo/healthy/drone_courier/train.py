"""A courier drone learns to fly to its door in the wind.

The simulator is written in torch, so the return itself is differentiated and climbed.
"""
import os
import random

import numpy as np
import torch
import torch.nn as nn

SEED = int(os.environ.get("SEED", "0"))
random.seed(SEED)
np.random.seed(SEED)
torch.manual_seed(SEED)


class WindyYard:
    """Point mass with drag in a wind that changes from flight to flight; 20 steps."""

    horizon, dt = 20, 0.2

    def reset(self, n):
        self.pos = 2 * torch.rand(n, 2) - 1
        self.vel = torch.zeros(n, 2)
        self.door = 2 * torch.rand(n, 2) - 1
        self.wind = 0.6 * torch.randn(n, 2)
        return self.observe()

    def observe(self):
        return torch.cat([self.door - self.pos, self.vel, self.wind], dim=1)

    def step(self, thrust):
        self.vel = self.vel + self.dt * (4.0 * thrust + self.wind - 0.5 * self.vel)
        self.pos = self.pos + self.dt * self.vel
        gap = (self.door - self.pos).pow(2).sum(1)
        reward = torch.exp(-4.0 * gap) - 0.1 * gap - 0.02 * thrust.pow(2).sum(1)
        return self.observe(), reward


class Pilot(nn.Module):
    def __init__(self):
        super().__init__()
        self.body = nn.Sequential(nn.Linear(6, 48), nn.Tanh(), nn.Linear(48, 48), nn.Tanh(), nn.Linear(48, 2))

    def forward(self, obs):
        return torch.tanh(self.body(obs))


def fly(pilot, env, n):
    obs = env.reset(n)
    total = torch.zeros(n)
    for _ in range(env.horizon):
        obs, reward = env.step(pilot(obs))
        total = total + reward
    return total


env, pilot = WindyYard(), Pilot()
updates = 240
optimizer = torch.optim.Adam(pilot.parameters(), lr=4e-3, maximize=True)
anneal = torch.optim.lr_scheduler.LinearLR(optimizer, 1.0, 0.1, total_iters=updates)

history = []
for update in range(1, updates + 1):
    objective = fly(pilot, env, 96).mean()
    optimizer.zero_grad()
    objective.backward()
    nn.utils.clip_grad_norm_(pilot.parameters(), 1.0)
    optimizer.step()
    anneal.step()
    history.append(objective.item())
    if update % 30 == 0:
        print(f"update {update} return {np.mean(history[-30:]):.3f}")

with torch.no_grad():
    score = fly(pilot, env, 1000).mean().item()
    idle = fly(lambda obs: torch.zeros(len(obs), 2), env, 1000).mean().item()
print(f"idle drone {idle:.3f}")
print(f"final return {score:.4f}")
