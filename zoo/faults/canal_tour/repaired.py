"""A route through the canals, learned from the logs of boats that drifted about (fitted Q-learning)."""
import copy
import random

import torch
from torch import nn

MAP = [
    "....#....",
    ".##.#.##.",
    ".#....#..",
    ".#.##.#.#",
    "...#.....",
    "##.#.###.",
    "...#...#G",
]
MOVES = [(-1, 0), (1, 0), (0, -1), (0, 1)]
WATER = [(r, c) for r, row in enumerate(MAP) for c, ch in enumerate(row) if ch != "#"]
QUAY = next((r, c) for r, c in WATER if MAP[r][c] == "G")


def push(cell, move):
    r, c = cell[0] + MOVES[move][0], cell[1] + MOVES[move][1]
    return (r, c) if (r, c) in WATER else cell


def encode(cells):
    x = torch.zeros(len(cells), len(MAP) + len(MAP[0]))
    for i, (r, c) in enumerate(cells):
        x[i, r] = x[i, len(MAP) + c] = 1
    return x


def drift_logs(n, rng):
    cells = [rng.choice([w for w in WATER if w != QUAY]) for _ in range(n)]
    moves = [rng.randrange(4) for _ in range(n)]
    arrived = [push(c, m) for c, m in zip(cells, moves)]
    reward = torch.tensor([float(a == QUAY) for a in arrived])
    return encode(cells), torch.tensor(moves), reward, encode(arrived)


class QLearner:
    def __init__(self, gamma=0.93, lr=2e-3):
        self.gamma = gamma
        self.net = nn.Sequential(nn.Linear(16, 128), nn.ReLU(), nn.Linear(128, 128), nn.ReLU(), nn.Linear(128, 4))
        self.target_net = copy.deepcopy(self.net)
        self.optimizer = torch.optim.Adam(self.net.parameters(), lr=lr)

    def sync(self):
        self.target_net.load_state_dict(self.net.state_dict())

    def learn(self, s, a, r, s2):
        with torch.no_grad():
            # the boat moors at the quay: nothing comes after a reward
            goal = r + self.gamma * (1 - r) * self.target_net(s2).max(1).values
        q = self.net(s).gather(1, a.unsqueeze(1)).squeeze(1)
        loss = nn.functional.smooth_l1_loss(q, goal)
        self.optimizer.zero_grad()
        loss.backward()
        self.optimizer.step()
        return loss.item()

    @torch.no_grad()
    def arrives(self, cell, limit=40):
        for _ in range(limit):
            if cell == QUAY:
                return True
            cell = push(cell, self.net(encode([cell])).argmax().item())
        return False


def main():
    random.seed(17)
    torch.manual_seed(17)
    logs = drift_logs(3000, random.Random(17))
    learner = QLearner()
    for step in range(1, 1201):
        rows = torch.randint(len(logs[0]), (96,))
        loss = learner.learn(*(part[rows] for part in logs))
        if step % 25 == 0:
            learner.sync()
        if step % 200 == 0:
            share = sum(learner.arrives(cell) for cell in WATER) / len(WATER)
            print(f"step {step} td loss {loss:.5f} arrive at the quay: {share:.2f}")


main()
