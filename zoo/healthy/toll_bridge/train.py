"""When should a toll keeper open lanes? REINFORCE with an average baseline on an environment of our own."""
import os
import random

import numpy as np
import torch
import torch.nn as nn

seed = int(os.environ.get("SEED", "0"))
random.seed(seed)
np.random.seed(seed)
torch.manual_seed(seed)


class Bridge:
    """Many queues at once. Open 0, 1 or 2 lanes; a lane costs, waiting carts cost more."""

    def __init__(self, n):
        self.n = n

    def reset(self):
        self.queue = torch.randint(0, 6, (self.n,)).float()
        self.hour = torch.randint(0, 24, (self.n,)).float()
        return self.look()

    def look(self):
        a = 2 * np.pi * self.hour / 24
        return torch.stack([self.queue / 10, torch.sin(a), torch.cos(a)], dim=1)

    def step(self, lanes):
        rate = 1.2 + 1.1 * torch.sin(2 * np.pi * self.hour / 24)
        arrive = torch.poisson(rate.clamp(min=0.05))
        self.queue = (self.queue + arrive - 2 * lanes).clamp(0, 20)
        self.hour = (self.hour + 1) % 24
        return self.look(), -0.35 * self.queue - 0.9 * lanes


policy = nn.Sequential(nn.Linear(3, 32), nn.Tanh(), nn.Linear(32, 3))
optimizer = torch.optim.Adam(policy.parameters(), lr=8e-3)
env = Bridge(64)
HOURS, GAMMA = 24, 0.9


def rollout(greedy=False):
    obs, logps, rewards, entropies = env.reset(), [], [], []
    for _ in range(HOURS):
        dist = torch.distributions.Categorical(logits=policy(obs))
        lanes = dist.probs.argmax(1) if greedy else dist.sample()
        logps.append(dist.log_prob(lanes))
        entropies.append(dist.entropy())
        obs, r = env.step(lanes.float())
        rewards.append(r)
    return torch.stack(logps), torch.stack(rewards), torch.stack(entropies)


for it in range(1, 201):
    logp, rew, ent = rollout()
    ret = torch.zeros_like(rew)
    run = torch.zeros(env.n)
    for k in reversed(range(HOURS)):
        run = rew[k] + GAMMA * run
        ret[k] = run
    adv = ret - ret.mean(dim=1, keepdim=True)
    adv = adv / (adv.std() + 1e-6)
    # the value of this loss means nothing, only its gradient does
    loss = -(logp * adv).mean() - 0.01 * ent.mean()
    optimizer.zero_grad()
    loss.backward()
    optimizer.step()
    if it % 25 == 0:
        print(f"iteration {it:3d} loss {loss.item():+.4f} reward per day {rew.sum(0).mean().item():.2f}")

with torch.no_grad():
    days = torch.cat([rollout(greedy=True)[1].sum(0) for _ in range(10)])
print(f"greedy reward per day {days.mean().item():.3f}")
