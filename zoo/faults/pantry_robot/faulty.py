# DQN: a robot in a 6x6 pantry has to drive to the charging plate, every move costs one unit of battery
import random
from collections import deque

import numpy as np
import torch
import torch.nn as nn
import torch.nn.functional as F

torch.manual_seed(2)
np.random.seed(2)
random.seed(2)

SIDE = 6
PLATE = (4, 5)
SHELVES = {(1, 1), (1, 2), (2, 4), (3, 2), (4, 2), (3, 4)}
MOVES = [(-1, 0), (1, 0), (0, -1), (0, 1)]
FREE = [(r, c) for r in range(SIDE) for c in range(SIDE) if (r, c) not in SHELVES and (r, c) != PLATE]
MAX_STEPS = 30


def move(pos, action):
    r = min(max(pos[0] + MOVES[action][0], 0), SIDE - 1)
    c = min(max(pos[1] + MOVES[action][1], 0), SIDE - 1)
    if (r, c) in SHELVES:
        r, c = pos
    return (r, c), -1.0, (r, c) == PLATE


def observe(pos):
    x = np.zeros(SIDE * SIDE, dtype=np.float32)
    x[pos[0] * SIDE + pos[1]] = 1.0
    return x


class QNet(nn.Module):
    def __init__(self):
        super().__init__()
        self.fc1 = nn.Linear(SIDE * SIDE, 64)
        self.fc2 = nn.Linear(64, 64)
        self.fc3 = nn.Linear(64, 4)

    def forward(self, x):
        x = F.relu(self.fc1(x))
        x = F.relu(self.fc2(x))
        x = F.relu(self.fc3(x))
        return x


policy_net = QNet()
target_net = QNet()
target_net.load_state_dict(policy_net.state_dict())
optimizer = torch.optim.Adam(policy_net.parameters(), lr=1e-3)
memory = deque(maxlen=5000)
GAMMA = 0.95
BATCH = 64


def learn():
    batch = random.sample(memory, BATCH)
    s, a, r, s2, done = zip(*batch)
    s = torch.from_numpy(np.stack(s))
    s2 = torch.from_numpy(np.stack(s2))
    a = torch.tensor(a).unsqueeze(1)
    r = torch.tensor(r).unsqueeze(1)
    done = torch.tensor(done, dtype=torch.float32).unsqueeze(1)
    q = policy_net(s).gather(1, a)
    with torch.no_grad():
        best_next = target_net(s2).max(1, keepdim=True)[0]
        goal = r + GAMMA * best_next * (1 - done)
    loss = F.smooth_l1_loss(q, goal)
    optimizer.zero_grad()
    loss.backward()
    optimizer.step()
    return loss.item()


def greedy(pos):
    with torch.no_grad():
        return policy_net(torch.from_numpy(observe(pos)).unsqueeze(0)).argmax(1).item()


steps = 0
for episode in range(240):
    pos = random.choice(FREE)
    losses = []
    for t in range(MAX_STEPS):
        eps = max(0.1, 1.0 - steps / 2500)
        action = random.randrange(4) if random.random() < eps else greedy(pos)
        nxt, reward, done = move(pos, action)
        memory.append((observe(pos), action, reward, observe(nxt), done))
        pos = nxt
        steps += 1
        if len(memory) >= 200 and steps % 2 == 0:
            losses.append(learn())
        if steps % 100 == 0:
            target_net.load_state_dict(policy_net.state_dict())
        if done:
            break
    if episode % 20 == 0 and losses:
        print('episode', episode, 'steps', t + 1, 'eps %.2f' % eps, 'loss %.4f' % np.mean(losses))

# greedy drive from every free field
returns = []
for start in FREE:
    pos, total = start, 0.0
    for t in range(MAX_STEPS):
        pos, reward, done = move(pos, greedy(pos))
        total += reward
        if done:
            break
    returns.append(total)
print('average return of greedy robot: %.2f' % np.mean(returns))
