"""Deterministic policy gradient: keep a flock of model gliders on their slope by the elevator."""
import os
import random
from copy import deepcopy

import numpy as np
import torch
import torch.nn.functional as F
from torch import nn

SEED = int(os.environ.get("SEED", "0"))


class GliderEnv:
    """n gliders at once; the state is (height error, climb, gust)."""

    def __init__(self, n, rng, horizon=40):
        self.n, self.rng, self.horizon = n, rng, horizon

    def reset(self):
        self.t = 0
        self.h = self.rng.uniform(-1.5, 1.5, self.n)
        self.v = self.rng.uniform(-0.5, 0.5, self.n)
        self.gust = self.rng.uniform(-0.6, 0.6, self.n)
        return self._obs()

    def _obs(self):
        return np.stack([self.h, self.v, self.gust], axis=1).astype(np.float32)

    def step(self, a):
        a = np.clip(a[:, 0], -1.0, 1.0)
        self.gust = 0.97 * self.gust + 0.03 * self.rng.standard_normal(self.n)
        self.v = 0.9 * self.v + 0.2 * (a + self.gust)
        self.h = np.clip(self.h + 0.2 * self.v, -3, 3)
        self.t += 1
        reward = -(self.h ** 2 + 0.1 * self.v ** 2 + 0.02 * a ** 2)
        return self._obs(), reward.astype(np.float32), self.t >= self.horizon


class Replay:
    def __init__(self, size, obs_dim, act_dim):
        self.s = np.zeros((size, obs_dim), np.float32)
        self.a = np.zeros((size, act_dim), np.float32)
        self.r = np.zeros((size, 1), np.float32)
        self.s2 = np.zeros((size, obs_dim), np.float32)
        self.size, self.ptr, self.full = size, 0, False

    def add(self, s, a, r, s2):
        for i in range(len(s)):
            p = self.ptr
            self.s[p], self.a[p], self.r[p, 0], self.s2[p] = s[i], a[i], r[i], s2[i]
            self.ptr = (p + 1) % self.size
            self.full = self.full or self.ptr == 0

    def sample(self, n, rng):
        idx = rng.integers(0, self.size if self.full else self.ptr, n)
        return [torch.from_numpy(v[idx]) for v in (self.s, self.a, self.r, self.s2)]


class Actor(nn.Module):
    def __init__(self, obs_dim, act_dim, hidden=48):
        super().__init__()
        self.net = nn.Sequential(nn.Linear(obs_dim, hidden), nn.ReLU(), nn.Linear(hidden, hidden), nn.ReLU(),
                                 nn.Linear(hidden, act_dim), nn.Tanh())

    def forward(self, s):
        return self.net(s)


class Critic(nn.Module):
    def __init__(self, obs_dim, act_dim, hidden=64):
        super().__init__()
        self.net = nn.Sequential(nn.Linear(obs_dim + act_dim, hidden), nn.ReLU(), nn.Linear(hidden, hidden), nn.ReLU(),
                                 nn.Linear(hidden, 1))

    def forward(self, s, a):
        return self.net(torch.cat([s, a], dim=1))


class Agent:
    gamma, tau, batch = 0.93, 0.01, 128

    def __init__(self, obs_dim, act_dim, rng):
        self.rng = rng
        self.actor, self.critic = Actor(obs_dim, act_dim), Critic(obs_dim, act_dim)
        self.actor_target, self.critic_target = deepcopy(self.actor), deepcopy(self.critic)
        self.opt_actor = torch.optim.Adam(self.actor.parameters(), lr=1e-3)
        self.opt_critic = torch.optim.Adam(self.critic.parameters(), lr=2e-3)
        self.memory = Replay(20000, obs_dim, act_dim)

    @torch.no_grad()
    def act(self, s, noise=0.0):
        a = self.actor(torch.from_numpy(s)).numpy()
        return np.clip(a + noise * self.rng.standard_normal(a.shape), -1, 1).astype(np.float32)

    def update(self):
        s, a, r, s2 = self.memory.sample(self.batch, self.rng)
        with torch.no_grad():
            # targets and proposals need one pass each
            target = r + self.gamma * self.critic_target(s2, self.actor_target(s2))
            proposal = self.actor(s)

        critic_loss = F.mse_loss(self.critic(s, a), target)
        self.opt_critic.zero_grad()
        critic_loss.backward()
        self.opt_critic.step()

        actor_loss = -self.critic(s, proposal).mean()
        self.opt_actor.zero_grad()
        actor_loss.backward()
        self.opt_actor.step()

        with torch.no_grad():
            for net, slow in ((self.actor, self.actor_target), (self.critic, self.critic_target)):
                for p, q in zip(net.parameters(), slow.parameters()):
                    q.lerp_(p, self.tau)
        return critic_loss.item(), actor_loss.item()


def evaluate(agent, n=100):
    env = GliderEnv(n, np.random.default_rng(1000 + SEED))
    s, done, total = env.reset(), False, np.zeros(n)
    while not done:
        s, r, done = env.step(agent.act(s))
        total += r
    return total.mean()


def main():
    random.seed(SEED)
    np.random.seed(SEED)
    torch.manual_seed(SEED)
    rng = np.random.default_rng(SEED)
    env, agent = GliderEnv(8, rng), Agent(3, 1, rng)
    for episode in range(25):
        s, done, logs = env.reset(), False, []
        while not done:
            a = agent.act(s, noise=max(0.1, 0.6 - 0.04 * episode))
            s2, r, done = env.step(a)
            agent.memory.add(s, a, r, s2)
            s = s2
            if episode >= 1:
                logs.append(agent.update())
        if episode % 5 == 1:
            c, p = np.mean(logs, axis=0)
            print(f"episode {episode:3d}  critic {c:.4f}  actor {p:.3f}  return {evaluate(agent):.2f}")
    print(f"mean return {evaluate(agent):.3f}")


if __name__ == "__main__":
    main()
