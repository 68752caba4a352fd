"""A taxi driver learns at which rank to wait: policy gradient with a baseline from the other drivers."""
import os
import random

import numpy as np
import torch
from torch import nn
from torch.distributions import Categorical

seed = int(os.environ.get("SEED", "0"))
random.seed(seed)
np.random.seed(seed)
torch.manual_seed(seed)

RANKS, HOURS, DRIVERS = 5, 16, 64
# share of waits that end with a fare, by rank and third of the day
DEMAND = torch.tensor([[0.8, 0.1, 0.2], [0.3, 0.3, 0.3], [0.1, 0.8, 0.1], [0.2, 0.2, 0.3], [0.1, 0.2, 0.9]])
FARE = torch.tensor([1.0, 0.6, 1.2, 0.8, 1.5])


class Day:
    """Actions: stay, one rank to the left, one rank to the right; moving costs a little and earns nothing."""

    def __init__(self, drivers):
        self.at = torch.randint(RANKS, (drivers,))
        self.hour = 0

    def see(self):
        place = nn.functional.one_hot(self.at, RANKS).float()
        clock = torch.full((len(self.at), 1), self.hour / HOURS)
        third = nn.functional.one_hot(torch.full_like(self.at, 3 * self.hour // HOURS), 3).float()
        return torch.cat([place, clock, third], 1)

    def step(self, action):
        move = torch.tensor([0, -1, 1])[action]
        self.at = (self.at + move).clamp(0, RANKS - 1)
        stays = action == 0
        chance = DEMAND[self.at, 3 * self.hour // HOURS]
        hit = torch.rand(len(chance)) < chance
        self.hour += 1
        return torch.where(stays, hit * FARE[self.at], torch.tensor(-0.05))


def drive(policy, drivers, greedy=False):
    day = Day(drivers)
    logps, entropies, rewards = [], [], []
    for _ in range(HOURS):
        dist = Categorical(logits=policy(day.see()))
        action = dist.logits.argmax(-1) if greedy else dist.sample()
        logps.append(dist.log_prob(action))
        entropies.append(dist.entropy())
        rewards.append(day.step(action))
    return torch.stack(logps), torch.stack(entropies), torch.stack(rewards)


def main(days=260):
    policy = nn.Sequential(nn.Linear(RANKS + 4, 48), nn.Tanh(), nn.Linear(48, 3))
    opt = torch.optim.Adam(policy.parameters(), lr=6e-3)
    for day in range(days):
        logp, entropy, reward = drive(policy, DRIVERS)
        togo = reward.flip(0).cumsum(0).flip(0)
        advantage = (togo - togo.mean(1, keepdim=True)) / (togo.std(1, keepdim=True) + 1e-6)
        loss = -(logp * advantage).mean() - 0.01 * (1 - day / days) * entropy.mean()
        opt.zero_grad()
        loss.backward()
        opt.step()
        if day % 40 == 0:
            print(f"day {day:3d}  loss {loss.item():+.4f}  takings {reward.sum(0).mean().item():.3f}  entropy {entropy.mean().item():.3f}")
    with torch.no_grad():
        _, _, idle = drive(lambda s: torch.zeros(len(s), 3), 1000)
        _, _, reward = drive(policy, 1000, greedy=True)
    print(f"takings by chance {idle.sum(0).mean().item():.3f}")
    print(f"takings per day {reward.sum(0).mean().item():.3f}")


if __name__ == "__main__":
    main()
