"""A milk float on a 5x5 village: deliver to two houses, then home, before the battery dies.
DQN with a replay ring, a target net, double-Q targets."""
import os
import random

import numpy as np
import torch
import torch.nn.functional as F
from torch import nn

SEED = int(os.environ.get("SEED", "0"))
random.seed(SEED); np.random.seed(SEED); torch.manual_seed(SEED)

N = 5
HOUSES = [(0, 4), (4, 2)]
WALLS = {(1, 2), (2, 2), (2, 3)}
HOME = (0, 0)
MOVES = [(-1, 0), (1, 0), (0, -1), (0, 1)]
LIMIT = 50


class Village:
    def reset(self):
        self.pos, self.done_houses, self.t = HOME, [False] * 2, 0
        return self.obs()

    def obs(self):
        o = np.zeros(2 * N + 2, dtype=np.float32)
        o[self.pos[0]] = 1
        o[N + self.pos[1]] = 1
        o[2 * N:] = self.done_houses
        return o

    def step(self, a):
        self.t += 1
        r, c = self.pos[0] + MOVES[a][0], self.pos[1] + MOVES[a][1]
        if 0 <= r < N and 0 <= c < N and (r, c) not in WALLS:
            self.pos = (r, c)
        reward = -0.04
        if self.pos in HOUSES and not self.done_houses[HOUSES.index(self.pos)]:
            self.done_houses[HOUSES.index(self.pos)] = True
            reward += 1.0
        terminal = all(self.done_houses) and self.pos == HOME
        if terminal:
            reward += 2.0
        return self.obs(), reward, terminal, self.t >= LIMIT


class Replay:
    def __init__(self, cap, dim):
        self.s, self.s2 = torch.zeros(cap, dim), torch.zeros(cap, dim)
        self.a = torch.zeros(cap, dtype=torch.long)
        self.r, self.d = torch.zeros(cap), torch.zeros(cap)
        self.cap, self.n = cap, 0

    def push(self, s, a, r, s2, d):
        i = self.n % self.cap
        self.s[i], self.s2[i] = torch.from_numpy(s), torch.from_numpy(s2)
        self.a[i], self.r[i], self.d[i] = a, r, d
        self.n += 1

    def sample(self, b):
        i = torch.randint(min(self.n, self.cap), (b,))
        return self.s[i], self.a[i], self.r[i], self.s2[i], self.d[i]


def qnet():
    return nn.Sequential(nn.Linear(2 * N + 2, 128), nn.ReLU(), nn.Linear(128, 128), nn.ReLU(), nn.Linear(128, 4))


env, online, target = Village(), qnet(), qnet()
target.load_state_dict(online.state_dict())
target.requires_grad_(False)
opt = torch.optim.Adam(online.parameters(), lr=1e-3)
buf = Replay(10000, 2 * N + 2)
GAMMA, WARM, STEPS = 0.97, 500, 9000


def act(s, eps):
    if random.random() < eps:
        return random.randrange(4)
    with torch.no_grad():
        return online(torch.from_numpy(s)).argmax().item()


s, ret, log = env.reset(), 0.0, []
for t in range(STEPS):
    eps = max(0.08, 1 - t / 6000)
    a = act(s, eps)
    s2, r, term, cut = env.step(a)
    buf.push(s, a, r, s2, float(term))        # running out of time is not a terminal state
    s, ret = s2, ret + r
    if term or cut:
        log.append(ret)
        s, ret = env.reset(), 0.0
    if t >= WARM and t % 2 == 0:
        bs, ba, br, bs2, bd = buf.sample(64)
        with torch.no_grad():
            nxt = target(bs2).gather(1, online(bs2).argmax(1, keepdim=True)).squeeze(1)
            y = br + GAMMA * (1 - bd) * nxt
        loss = F.smooth_l1_loss(online(bs).gather(1, ba[:, None]).squeeze(1), y)
        opt.zero_grad(); loss.backward()
        nn.utils.clip_grad_norm_(online.parameters(), 10.0)
        opt.step()
    if t % 200 == 0:
        target.load_state_dict(online.state_dict())
    if t % 1500 == 1499:
        print(f"{t + 1} eps {eps:.2f} mean return of last 10 rounds {np.mean(log[-10:]):.2f} loss {loss.item():.4f}")

s, total, steps, over = env.reset(), 0.0, 0, False
while not over:
    s, r, term, cut = env.step(act(s, 0.0))
    total, steps, over = total + r, steps + 1, term or cut
print(f"greedy round: return {total:.2f} in {steps} moves, finished {term}")
