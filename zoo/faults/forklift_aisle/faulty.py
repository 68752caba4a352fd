"""A forklift learns to bring a pallet through the aisles of a small warehouse (REINFORCE with a running baseline)."""
import os
import random
from collections import deque

import numpy as np
import torch
import torch.nn as nn
from torch.distributions import Categorical

SEED = int(os.environ.get("SEED", "0"))


class Warehouse:
    """6 x 6 floor, two racks, ramp in the lower right corner. Actions: up, down, left, right."""
    MOVES = [(-1, 0), (1, 0), (0, -1), (0, 1)]
    RACKS = {(1, 1), (1, 2), (1, 3), (3, 2), (3, 3), (3, 4)}
    RAMP = (5, 5)
    MAX_STEPS = 30

    def __init__(self, rng):
        self.rng = rng

    def reset(self):
        self.pos = (0, int(self.rng.integers(0, 3)))
        self.t = 0
        return self.observe()

    def observe(self):
        r, c = self.pos
        walls = [float(self.blocked(r + dr, c + dc)) for dr, dc in self.MOVES]
        rows, cols = np.eye(6)[r], np.eye(6)[c]
        return torch.tensor(np.concatenate([rows, cols, walls]), dtype=torch.float32)

    def blocked(self, r, c):
        return not (0 <= r < 6 and 0 <= c < 6) or (r, c) in self.RACKS

    def step(self, action):
        r, c = self.pos[0] + self.MOVES[action][0], self.pos[1] + self.MOVES[action][1]
        reward = -0.1
        if self.blocked(r, c):
            reward -= 0.2
        else:
            self.pos = (r, c)
        self.t += 1
        if self.pos == self.RAMP:
            return self.observe(), reward + 5.0, True
        return self.observe(), reward, self.t >= self.MAX_STEPS


class Policy(nn.Module):
    def __init__(self, n_obs=16, n_actions=4, hidden=32):
        super().__init__()
        self.net = nn.Sequential(nn.Linear(n_obs, hidden), nn.Tanh(), nn.Linear(hidden, n_actions))

    def forward(self, obs):
        return Categorical(logits=self.net(obs))


def discounted(rewards, gamma):
    out, g = [], 0.0
    for r in reversed(rewards):
        g = r + gamma * g
        out.insert(0, g)
    return torch.tensor(out)


def play(env, policy, greedy=False):
    obs, done = env.reset(), False
    log_probs, rewards = [], []
    while not done:
        dist = policy(obs)
        action = dist.probs.argmax() if greedy else dist.sample()
        log_probs.append(dist.log_prob(action))
        obs, reward, done = env.step(action.item())
        rewards.append(reward)
    return log_probs, rewards


def train(env, policy, episodes=400, gamma=0.97, lr=1e-2):
    optimizer = torch.optim.Adam(policy.parameters(), lr=lr)
    baseline = 0.0
    recent = deque(maxlen=50)
    for episode in range(1, episodes + 1):
        log_probs, rewards = play(env, policy)
        returns = discounted(rewards, gamma)
        baseline = 0.95 * baseline + 0.05 * returns.mean().item()
        advantage = returns - baseline
        log_probs = torch.tensor(log_probs, requires_grad=True)
        loss = -(log_probs * advantage).mean()
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        recent.append(sum(rewards))
        if episode % 50 == 0:
            print(f"episode {episode:4d}  loss {loss.item():+.3f}  mean return of the last 50: {np.mean(recent):+.3f}")


def main():
    random.seed(SEED)
    np.random.seed(SEED)
    torch.manual_seed(SEED)
    env = Warehouse(np.random.default_rng(SEED))
    policy = Policy()
    train(env, policy)
    with torch.no_grad():
        scores = [sum(play(env, policy)[1]) for _ in range(50)]
    print(f"average return over 50 test runs: {np.mean(scores):.3f}")


if __name__ == "__main__":
    main()
