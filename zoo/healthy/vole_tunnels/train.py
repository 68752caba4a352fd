# A vole learns its tunnels: actor-critic in a small burrow with a store of roots at a place that changes.
import os
import random

import numpy as np
import torch
from torch import nn

seed = int(os.environ.get("SEED", "0"))
random.seed(seed)
np.random.seed(seed)
torch.manual_seed(seed)

BURROW = [
    "#########",
    "#...#...#",
    "#.#.#.#.#",
    "#.#...#.#",
    "#.###.#.#",
    "#...#...#",
    "#########",
]
FREE = [(r, c) for r, row in enumerate(BURROW) for c, ch in enumerate(row) if ch == "."]
INDEX = {p: i for i, p in enumerate(FREE)}
MOVES = [(-1, 0), (1, 0), (0, -1), (0, 1)]
# next cell for each cell and move
STEP = torch.tensor([[INDEX.get((r + dr, c + dc), INDEX[(r, c)]) for dr, dc in MOVES] for r, c in FREE])
STORES = [INDEX[p] for p in ((1, 7), (5, 3), (1, 1))]
LIMIT = 20


class Vole(nn.Module):
    def __init__(self):
        super().__init__()
        self.place = nn.Embedding(len(FREE) * len(STORES), 48)
        self.body = nn.Sequential(nn.Linear(48, 64), nn.Tanh())
        self.act = nn.Linear(64, 4)
        self.val = nn.Linear(64, 1)
        # start as a vole without preferences
        nn.init.zeros_(self.act.weight)
        nn.init.zeros_(self.act.bias)

    def forward(self, cell, goal):
        h = self.body(self.place(goal * len(FREE) + cell))
        return self.act(h), self.val(h).squeeze(-1)


def walk(model, n, greedy=False):
    cell = torch.randint(0, len(FREE), (n,))
    goal = torch.randint(0, len(STORES), (n,))
    target = torch.tensor(STORES)[goal]
    alive = cell != target
    track = []
    for _ in range(LIMIT):
        logits, value = model(cell, goal)
        dist = torch.distributions.Categorical(logits=logits)
        move = logits.argmax(-1) if greedy else dist.sample()
        cell = torch.where(alive, STEP[cell, move], cell)
        arrived = alive & (cell == target)
        reward = arrived.float() - 0.02 * alive.float()
        track.append((dist.log_prob(move), dist.entropy(), value, reward, alive.float()))
        alive = alive & ~arrived
    return [torch.stack(t) for t in zip(*track)], alive


def main():
    model = Vole()
    opt = torch.optim.Adam(model.parameters(), lr=1e-2)
    for update in range(1, 151):
        (logp, ent, value, reward, alive), _ = walk(model, 64)
        ret = torch.zeros_like(reward)
        g = torch.zeros(reward.size(1))
        for t in reversed(range(LIMIT)):
            g = reward[t] + 0.97 * g
            ret[t] = g
        w = alive / alive.sum()
        adv = ret - value.detach()
        actor = -(w * logp * adv).sum()
        critic = (w * (value - ret) ** 2).sum()
        loss = actor + 0.5 * critic - 0.01 * (w * ent).sum()
        model.zero_grad()
        loss.backward()
        opt.step()
        if update % 25 == 0:
            print(f"update {update:4d}  loss {loss.item():+.4f}  return {reward.sum(0).mean().item():+.3f}")
    with torch.no_grad():
        _, left = walk(model, 500, greedy=True)
    print(f"voles that find the store {1 - left.float().mean().item():.4f}")


main()
