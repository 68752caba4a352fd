"""How many newspapers should the kiosk order tonight? Double DQN with a slowly moving target."""
import copy
import random

import torch
from torch import nn, optim

CAPACITY, ACTIONS = 20, 6
DEMAND = [3, 4, 4, 5, 7, 10, 9]  # mean per weekday


class Kiosk:
    def __init__(self, rng):
        self.rng = rng
        self.stock, self.day = 5, rng.randrange(7)

    def observe(self):
        week = [0.0] * 7
        week[self.day] = 1.0
        return [self.stock / CAPACITY, *week]

    def step(self, action):
        order = min(action * 3, CAPACITY - self.stock)
        have = self.stock + order
        wanted = sum(self.rng.random() < 0.5 for _ in range(2 * DEMAND[self.day]))
        sold = min(have, wanted)
        self.stock, self.day = have - sold, (self.day + 1) % 7
        return 2.0 * sold - 1.0 * order - 0.5 * self.stock - (1.0 if order else 0.0)


def make_net():
    return nn.Sequential(nn.Linear(8, 64), nn.ReLU(), nn.Linear(64, 64), nn.ReLU(), nn.Linear(64, ACTIONS))


@torch.no_grad()
def profit(policy, days=1400, seed=99):
    env, total = Kiosk(random.Random(seed)), 0.0
    for _ in range(days):
        total += env.step(policy(env))
    return total / days


rng = random.Random(7)
torch.manual_seed(7)
q_net = make_net()
slow_net = copy.deepcopy(q_net).requires_grad_(False)
opt = optim.AdamW(q_net.parameters(), lr=1e-3, weight_decay=1e-4)
huber = nn.SmoothL1Loss()
buffer, env = [], Kiosk(rng)
gamma, tau = 0.9, 0.01


def greedy(e):
    return int(q_net(torch.tensor(e.observe())).argmax())


print(f"random orders: {profit(lambda e: random.Random(e.stock + 31 * e.day).randrange(ACTIONS)):.2f} a day")
for day in range(1, 2401):
    state = env.observe()
    eps = max(0.05, 1 - day / 1200)
    if rng.random() < eps:
        action = rng.randrange(ACTIONS)
    else:
        with torch.no_grad():
            action = greedy(env)
    reward = env.step(action)
    buffer.append((state, action, reward, env.observe()))
    if len(buffer) < 300:
        continue
    s, a, r, s2 = zip(*rng.sample(buffer, 64))
    s, s2 = torch.tensor(s), torch.tensor(s2)
    a, r = torch.tensor(a), torch.tensor(r)
    with torch.no_grad():
        best = q_net(s2).argmax(1, keepdim=True)
        target = r + gamma * slow_net(s2).gather(1, best).squeeze(1)
    prediction = q_net(s).gather(1, a[:, None]).squeeze(1)
    loss = huber(prediction, target)
    opt.zero_grad()
    loss.backward()
    opt.step()
    with torch.no_grad():
        for slow, fast in zip(slow_net.parameters(), q_net.parameters()):
            slow.lerp_(fast, tau)
    if day % 400 == 0:
        print(f"day {day} loss {loss.item():.3f} mean q {prediction.mean().item():.1f} greedy profit {profit(greedy):.2f}")
