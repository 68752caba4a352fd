"""A goat on a mountain ledge: REINFORCE with a baseline.

The ledge has 9 columns; each step the goat goes left, stays, or goes right while it climbs one row. Stones
make some columns of the next rows unsafe (seen in advance). Grass gives a reward, stones end the climb.
"""
import os
import random

import numpy as np
import torch
import torch.nn as nn
import torch.nn.functional as F
from torch.distributions import Categorical

seed = int(os.environ.get("SEED", "0"))
random.seed(seed)
np.random.seed(seed)
torch.manual_seed(seed)

COLS, ROWS, LOOK = 9, 25, 3


class Ledges:
    """Many goats at a time."""

    def __init__(self, n, rng):
        self.n, self.rng = n, rng

    def reset(self):
        self.stones = self.rng.random((self.n, ROWS + LOOK + 1, COLS)) < 0.3
        self.stones[:, 0] = False
        self.col = self.rng.integers(0, COLS, self.n)
        self.row = 0
        self.alive = np.ones(self.n, dtype=bool)
        return self.observe()

    def observe(self):
        # what lies ahead, seen from the goat (walls count as stones)
        padded = np.ones((self.n, LOOK, COLS + 2 * LOOK), dtype=np.float32)
        padded[:, :, LOOK:-LOOK] = self.stones[:, self.row + 1:self.row + 1 + LOOK]
        cols = self.col[:, None] + np.arange(2 * LOOK + 1)[None]
        view = padded[np.arange(self.n)[:, None, None], np.arange(LOOK)[None, :, None], cols[:, None, :]]
        return torch.tensor(view.reshape(self.n, -1))

    def step(self, action):
        self.col = np.clip(self.col + action - 1, 0, COLS - 1)
        self.row += 1
        hit = self.stones[np.arange(self.n), self.row, self.col]
        was = self.alive.copy()
        self.alive &= ~hit
        reward = np.where(self.alive, 1.0, 0.0) * was
        return self.observe(), torch.tensor(reward, dtype=torch.float32), torch.tensor(was, dtype=torch.float32)


class Policy(nn.Module):
    def __init__(self):
        super().__init__()
        self.affine1 = nn.Linear(LOOK * (2 * LOOK + 1), 64)
        self.affine2 = nn.Linear(64, 3)
        self.value = nn.Linear(64, 1)

    def forward(self, x):
        x = F.relu(self.affine1(x))
        action_scores = F.softmax(self.affine2(x), dim=1)
        return action_scores, self.value(x).squeeze(1)


policy = Policy()
optimizer = torch.optim.Adam(policy.parameters(), lr=3e-3)
env = Ledges(32, np.random.default_rng(seed))
gamma = 0.9


def rollout(env):
    obs = env.reset()
    logps, values, rewards, masks = [], [], [], []
    for _ in range(ROWS):
        scores, value = policy(obs)
        dist = Categorical(probs=scores)
        action = dist.sample()
        obs, r, m = env.step(action.numpy())
        logps.append(dist.log_prob(action))
        values.append(value)
        rewards.append(r)
        masks.append(m)
    return map(torch.stack, (logps, values, rewards, masks))


history = []
for episode in range(1, 101):
    logps, values, rewards, masks = rollout(env)
    returns = torch.zeros_like(rewards)
    g = torch.zeros(env.n)
    for t in reversed(range(ROWS)):
        g = rewards[t] + gamma * g
        returns[t] = g
    advantage = (returns - values).detach()
    policy_loss = -(logps * advantage * masks).sum() / masks.sum()
    value_loss = ((values - returns) ** 2 * masks).sum() / masks.sum()
    loss = policy_loss + 0.5 * value_loss
    optimizer.zero_grad()
    loss.backward()
    optimizer.step()
    history.append(rewards.sum(0).mean().item())
    if episode % 20 == 0:
        print(f"episode {episode}  rows climbed {np.mean(history[-20:]):.2f}  loss {loss.item():.4f}")

with torch.no_grad():
    climbed = [rollout(Ledges(100, np.random.default_rng(10_000 + seed + i))) for i in range(3)]
    climbed = torch.stack([list(c)[2].sum(0).mean() for c in climbed]).mean().item()
print(f"mean rows climbed {climbed:.3f}")
