"""A ball is balanced on a beam: a network learns the value of tilting it to either side."""

import random

import torch
import torch.nn.functional as F
from torch import nn

random.seed(7)
torch.manual_seed(7)


class Beam:
    def __init__(self):
        self.start()

    def start(self):
        self.place, self.speed, self.age = random.uniform(-0.4, 0.4), random.uniform(-0.3, 0.3), 0

    def tilt(self, right):
        self.speed += 0.15 * self.place + (0.1 if right else -0.1) + random.gauss(0, 0.03)
        self.place += 0.2 * self.speed
        self.age += 1
        return abs(self.place) > 1


net, target_net = (nn.Sequential(nn.Linear(2, 32), nn.Tanh(), nn.Linear(32, 2)) for _ in range(2))
target_net.load_state_dict(net.state_dict())
optimizer = torch.optim.Adam(net.parameters(), lr=2e-3)
beam, memory = Beam(), []

for move in range(900):
    before = [beam.place, beam.speed]
    if random.random() < max(0.1, 1 - move / 600):
        action = random.randrange(2)
    else:
        with torch.no_grad():
            action = int(net(torch.tensor(before)).argmax())
    off = beam.tilt(action)
    memory.append((before, action, 0.1, [beam.place, beam.speed], float(off)))
    if off or beam.age >= 80:
        beam.start()
    if len(memory) < 300:
        continue
    state, chosen, reward, following, done = (torch.tensor(part) for part in zip(*random.sample(memory, 64)))
    q = net(state).gather(1, chosen.unsqueeze(1)).squeeze(1)
    with torch.no_grad():
        future = target_net(following).max(1).values
    loss = F.mse_loss(q, reward + 0.95 * future)
    optimizer.zero_grad()
    loss.backward()
    optimizer.step()
    if move % 50 == 0:
        target_net.load_state_dict(net.state_dict())
        print(f"move {move} loss {loss.item():.5f}")
