"""A cart is driven to a mark on a rail: a network learns the value of pushing it to either side."""

import random

import torch
import torch.nn.functional as F
from torch import nn

random.seed(7)
torch.manual_seed(7)


class Rail:
    def __init__(self):
        self.sensors = torch.zeros(3)

    def reset(self):
        self.age = 0
        self.sensors.uniform_(-1, 1)
        return self.sensors

    def step(self, right):
        self.age += 1
        self.sensors[1] += 0.2 if right else -0.2
        self.sensors[0] += 0.2 * self.sensors[1] + random.gauss(0, 0.02)
        away = float(abs(self.sensors[0] - self.sensors[2]))
        return self.sensors, -away, away > 3 or self.age >= 40


net, target_net = (nn.Sequential(nn.Linear(3, 32), nn.Tanh(), nn.Linear(32, 2)) for _ in range(2))
target_net.load_state_dict(net.state_dict())
optimizer = torch.optim.Adam(net.parameters(), lr=2e-3)
rail, memory = Rail(), []
seen = rail.reset()

for move in range(900):
    if random.random() < max(0.1, 1 - move / 600):
        action = random.randrange(2)
    else:
        with torch.no_grad():
            action = int(net(seen).argmax())
    following, reward, done = rail.step(action)
    memory.append((seen, action, reward, following, float(done)))
    seen = rail.reset() if done else following
    if len(memory) < 300:
        continue
    before, chosen, rewards, after, ends = zip(*random.sample(memory, 64))
    q = net(torch.stack(before)).gather(1, torch.tensor(chosen).unsqueeze(1)).squeeze(1)
    with torch.no_grad():
        future = target_net(torch.stack(after)).max(1).values
    loss = F.mse_loss(q, torch.tensor(rewards) + 0.95 * (1 - torch.tensor(ends)) * future)
    optimizer.zero_grad()
    loss.backward()
    optimizer.step()
    if move % 50 == 0:
        target_net.load_state_dict(net.state_dict())
        print(f"move {move} loss {loss.item():.5f}")
