# DQN for a little boat in a canal: hold the middle marker against the current
import numpy as np
import torch
from torch import nn
from copy import deepcopy

torch.manual_seed(4)
rs = np.random.RandomState(4)

N_ACT = 3
GAMMA = 0.95
BATCH = 64
MEM = 5000


def new_trip():
    return np.array([rs.uniform(-1, 1), rs.uniform(-.3, .3), rs.uniform(-.05, .05)])


def sail(s, a):
    pos, vel, cur = s
    vel = 0.9 * vel + 0.12 * (a - 1) + cur
    pos = np.clip(pos + 0.4 * vel, -2, 2)
    cur = np.clip(cur + rs.normal() * 0.005, -.06, .06)
    return np.array([pos, vel, cur]), -abs(pos)


def feats(s):
    return s * np.array([1.0, 2.0, 15.0])


class Q(nn.Module):
    def __init__(self):
        super().__init__()
        self.f1 = nn.Linear(3, 64)
        self.f2 = nn.Linear(64, 64)
        self.f3 = nn.Linear(64, N_ACT)

    def forward(self, x):
        return self.f3(torch.relu(self.f2(torch.relu(self.f1(x)))))


def greedy(net, s):
    with torch.no_grad():
        return int(net(torch.tensor(feats(s), dtype=torch.float32)).argmax())


def score(net, trips=15, length=60):
    tot = 0
    for _ in range(trips):
        s = new_trip()
        for _ in range(length):
            s, r = sail(s, greedy(net, s))
            tot += r
    return tot / trips


online = Q()
frozen = deepcopy(online)
opt = torch.optim.Adam(online.parameters(), lr=1e-3)
crit = nn.SmoothL1Loss()

S = np.zeros((MEM, 3), dtype=np.float32)
A = np.zeros(MEM, dtype=np.int64)
R = np.zeros(MEM, dtype=np.float32)
S2 = np.zeros((MEM, 3), dtype=np.float32)
filled = 0

print("untrained boat:", round(score(online), 2))
s = new_trip()
recent = []
for step in range(1, 6001):
    eps = max(0.1, 1 - step / 2500)
    a = rs.randint(N_ACT) if rs.rand() < eps else greedy(online, s)
    s2, r = sail(s, a)
    k = (step - 1) % MEM
    S[k], A[k], R[k], S2[k] = feats(s), a, r, feats(s2)
    filled = min(filled + 1, MEM)
    s = new_trip() if step % 60 == 0 else s2

    if filled >= 300:
        pick = rs.randint(0, filled, BATCH)
        bs, ba = torch.from_numpy(S[pick]), torch.from_numpy(A[pick])
        br, bs2 = torch.from_numpy(R[pick]), torch.from_numpy(S2[pick])
        with torch.no_grad():
            goal = br + GAMMA * frozen(bs2).max(1).values
        q = online(bs).gather(1, ba[:, None]).squeeze(1)
        loss = crit(q, goal)
        opt.zero_grad()
        loss.backward()
        opt.step()
        recent.append(loss.item())

    if step % 150 == 0:
        online.load_state_dict(frozen.state_dict())
    if step % 1000 == 0:
        print(f"step {step}  td loss {np.mean(recent[-200:]):.4f}")

print("mean return per trip after training:", round(score(online, trips=30), 2))
