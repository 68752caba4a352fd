"""A cat on the attic's beams: slippery grid, DQN with replay and a target net, against value iteration."""
import copy
import os
import random

import numpy as np
import torch
from torch import nn

SEED = int(os.environ.get("SEED", "0"))
MAP = ["S..#..",
       ".#....",
       ".#.#H.",
       "....#.",
       ".H.#..",
       "...#.G"]
N = len(MAP)
FREE = [(r, c) for r in range(N) for c in range(N) if MAP[r][c] in "S."]
MOVES = [(-1, 0), (0, 1), (1, 0), (0, -1)]
GAMMA, SLIP, LIMIT = 0.97, 0.1, 60


def outcome(pos, a):
    r, c = pos[0] + MOVES[a][0], pos[1] + MOVES[a][1]
    if not (0 <= r < N and 0 <= c < N) or MAP[r][c] == "#":
        r, c = pos
    if MAP[r][c] == "G":
        return (r, c), 1.0, True
    if MAP[r][c] == "H":
        return (r, c), -1.0, True
    return (r, c), -0.01, False


class Attic:
    def reset(self, pos=(0, 0)):
        self.pos, self.t = pos, 0
        return self.pos

    def step(self, a):
        if random.random() < SLIP:
            a = (a + random.choice([1, 3])) % 4
        self.pos, reward, end = outcome(self.pos, a)
        self.t += 1
        return self.pos, reward, end, self.t >= LIMIT


def encode(pos):
    v = np.zeros(N * N, dtype=np.float32)
    v[pos[0] * N + pos[1]] = 1
    return v


class Replay:
    def __init__(self, size):
        self.s, self.s2 = np.zeros((size, N * N), np.float32), np.zeros((size, N * N), np.float32)
        self.a, self.r, self.d = np.zeros(size, np.int64), np.zeros(size, np.float32), np.zeros(size, np.float32)
        self.n = self.i = 0

    def add(self, s, a, r, s2, d):
        i = self.i
        self.s[i], self.a[i], self.r[i], self.s2[i], self.d[i] = s, a, r, s2, d
        self.i = (i + 1) % len(self.a)
        self.n = min(self.n + 1, len(self.a))

    def sample(self, k):
        idx = np.random.randint(0, self.n, k)
        return [torch.from_numpy(x[idx]) for x in (self.s, self.a, self.r, self.s2, self.d)]


def optimum():
    v = np.zeros((N, N))
    for _ in range(400):
        new = np.zeros_like(v)
        for r in range(N):
            for c in range(N):
                if MAP[r][c] in "#GH":
                    continue
                q = []
                for a in range(4):
                    total = 0.0
                    for b, p in ((a, 1 - SLIP), ((a + 1) % 4, SLIP / 2), ((a + 3) % 4, SLIP / 2)):
                        (r2, c2), rew, end = outcome((r, c), b)
                        total += p * (rew + (0 if end else GAMMA * v[r2, c2]))
                    q.append(total)
                new[r, c] = max(q)
        v = new
    return v[0, 0]


def greedy_value(net, episodes=400):
    env, values = Attic(), []
    for _ in range(episodes):
        s, total, discount = env.reset(), 0.0, 1.0
        while True:
            with torch.no_grad():
                a = net(torch.from_numpy(encode(s))).argmax().item()
            s, r, end, late = env.step(a)
            total += discount * r
            discount *= GAMMA
            if end or late:
                break
        values.append(total)
    return float(np.mean(values))


def main():
    random.seed(SEED), np.random.seed(SEED), torch.manual_seed(SEED)
    net = nn.Sequential(nn.Linear(N * N, 64), nn.ReLU(), nn.Linear(64, 64), nn.ReLU(), nn.Linear(64, 4))
    target = copy.deepcopy(net)
    opt = torch.optim.Adam(net.parameters(), lr=2e-3)
    steps = 5000
    sched = torch.optim.lr_scheduler.LinearLR(opt, 1.0, 0.05, steps)
    env, memory = Attic(), Replay(6000)
    s = env.reset(random.choice(FREE))          # in training the cat is set down anywhere
    for step in range(steps):
        eps = max(0.1, 1 - step / (0.5 * steps))
        if random.random() < eps:
            a = random.randrange(4)
        else:
            with torch.no_grad():
                a = net(torch.from_numpy(encode(s))).argmax().item()
        s2, r, end, late = env.step(a)
        memory.add(encode(s), a, r, encode(s2), float(end))
        s = env.reset(random.choice(FREE)) if end or late else s2
        if step >= 500:
            bs, ba, br, bs2, bd = memory.sample(48)
            with torch.no_grad():
                best = net(bs2).argmax(1, keepdim=True)
                goal = br + GAMMA * (1 - bd) * target(bs2).gather(1, best).squeeze(1)
            q = net(bs).gather(1, ba.unsqueeze(1)).squeeze(1)
            loss = nn.functional.smooth_l1_loss(q, goal)
            opt.zero_grad()
            loss.backward()
            opt.step()
            sched.step()
        if step % 100 == 0:
            target.load_state_dict(net.state_dict())
        if step % 1000 == 0:
            print(f"step {step} eps {eps:.2f} value {greedy_value(net, 20):.3f}")
    print(f"value of the greedy cat {greedy_value(net):.3f}; best possible {optimum():.3f}")


main()
