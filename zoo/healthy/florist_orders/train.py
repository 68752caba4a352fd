"""How many bunches should the florist order tonight?  Double DQN against the exact optimum.

Flowers keep two days.  Old bunches are sold first, what is old and unsold is
thrown away.  The shop never closes, so there are no terminal states.
"""
import copy
import os
import random
from collections import deque

import numpy as np
import torch
from torch import nn

SEED = int(os.environ.get("SEED", "0"))
MEAN_DEMAND = [2, 2, 3, 3, 5, 7, 4]
MOST, GAMMA, PRICE, COST, WASTE = 9, 0.7, 3.0, 1.0, 0.5


def day(old, order, demand):
    """Returns tomorrow's old stock and today's profit."""
    sold_old = min(old, demand)
    sold_new = min(order, demand - sold_old)
    profit = PRICE * (sold_old + sold_new) - COST * order - WASTE * (old - sold_old)
    return order - sold_new, profit


def all_states():
    """One-hot observations, indexed by weekday and old stock."""
    x = torch.zeros(7, MOST + 1, MOST + 8)
    for w in range(7):
        for old in range(MOST + 1):
            x[w, old, old] = 1
            x[w, old, MOST + 1 + w] = 1
    return x


def optimal_policy():
    support = np.arange(30)
    value = np.zeros((7, MOST + 1))
    for _ in range(200):
        q = np.zeros((7, MOST + 1, MOST + 1))
        for w in range(7):
            pmf = np.cumprod(np.concatenate([[np.exp(-MEAN_DEMAND[w])], MEAN_DEMAND[w] / support[1:]]))
            for old in range(MOST + 1):
                for a in range(MOST + 1):
                    for d, p in zip(range(20), pmf):
                        nxt, profit = day(old, a, d)
                        q[w, old, a] += p * (profit + GAMMA * value[(w + 1) % 7, nxt])
        new = q.max(2)
        if np.abs(new - value).max() < 0.01:
            break
        value = new
    return q.argmax(2)


def yearly(policy, days=7 * 600):
    rng = np.random.default_rng(99)                       # the same customers for every policy
    old, total = 0, 0.0
    for t in range(days):
        old, profit = day(old, policy(t % 7, old), rng.poisson(MEAN_DEMAND[t % 7]))
        total += profit
    return total / days


class Memory:
    """Ring buffer of (weekday, old stock, order, profit / 10, tomorrow's old stock)."""

    def __init__(self, size):
        self.whole = torch.zeros(size, 4, dtype=torch.long)
        self.reward = torch.zeros(size)
        self.size, self.seen = size, 0

    def add(self, weekday, old, action, reward, following):
        i = self.seen % self.size
        self.whole[i] = torch.tensor([weekday, old, action, following])
        self.reward[i] = reward
        self.seen += 1

    def sample(self, n):
        idx = torch.randint(0, min(self.seen, self.size), (n,))
        return (*self.whole[idx].unbind(1), self.reward[idx])


class QNet(nn.Module):
    def __init__(self):
        super().__init__()
        self.net = nn.Sequential(nn.Linear(MOST + 8, 64), nn.ReLU(), nn.Linear(64, 64), nn.ReLU())
        self.value, self.advantage = nn.Linear(64, 1), nn.Linear(64, MOST + 1)

    def forward(self, x):
        h = self.net(x)
        a = self.advantage(h)
        return self.value(h) + a - a.mean(1, keepdim=True)


def main():
    random.seed(SEED)
    torch.manual_seed(SEED)
    rng = np.random.default_rng(SEED)
    online = QNet()
    target = copy.deepcopy(online).requires_grad_(False)
    optimizer = torch.optim.Adam(online.parameters(), lr=2e-3)
    days, warm, every = 12000, 1000, 4
    scheduler = torch.optim.lr_scheduler.LinearLR(optimizer, 1.0, 0.05, (days - warm) // every)
    memory, states = Memory(days), all_states()
    old, weekday, recent = 0, 0, deque(maxlen=500)
    for step in range(days):
        epsilon = max(0.15, 1 - step / 6000)
        if random.random() < epsilon:
            action = random.randrange(MOST + 1)
        else:
            with torch.no_grad():
                action = online(states[weekday, old][None]).argmax().item()
        following, profit = day(old, action, rng.poisson(MEAN_DEMAND[weekday]))
        memory.add(weekday, old, action, profit / 10, following)
        old, weekday = following, (weekday + 1) % 7
        if step < warm or step % every:
            continue
        w, stock, actions, after, rewards = memory.sample(64)
        xs, nexts = states[w, stock], states[(w + 1) % 7, after]
        with torch.no_grad():
            best = online(nexts).argmax(1, keepdim=True)
            goal = rewards + GAMMA * target(nexts).gather(1, best).squeeze(1)
        q = online(xs).gather(1, actions[:, None]).squeeze(1)
        loss = nn.functional.smooth_l1_loss(q, goal)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        scheduler.step()
        recent.append(loss.item())
        if step % 400 == 0:
            target.load_state_dict(online.state_dict())
        if step % 1600 == 0:
            print(f"day {step:5d}  epsilon {epsilon:.2f}  TD loss {np.mean(recent):.4f}  mean Q {q.mean().item():.3f}")

    with torch.no_grad():
        table = online(states.flatten(0, 1)).argmax(1).view(7, MOST + 1)
    best = optimal_policy()
    print(f"profit a day: always four {yearly(lambda w, o: 4):.3f}  DQN {yearly(lambda w, o: int(table[w, o])):.3f}  "
          f"optimum {yearly(lambda w, o: int(best[w, o])):.3f}")


if __name__ == "__main__":
    main()
