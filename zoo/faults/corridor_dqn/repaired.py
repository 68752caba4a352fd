"""DQN on a small grid world."""
import random
from collections import deque

import torch
import torch.nn as nn


class Grid:
    def __init__(self, size=5):
        self.size = size

    def reset(self):
        self.pos = [random.randrange(self.size), random.randrange(self.size)]
        self.t = 0
        return self.state()

    def state(self):
        s = torch.zeros(2 * self.size)
        s[self.pos[0]] = 1
        s[self.size + self.pos[1]] = 1
        return s

    def step(self, a):
        dr, dc = [(1, 0), (-1, 0), (0, 1), (0, -1)][a]
        self.pos[0] = min(max(self.pos[0] + dr, 0), self.size - 1)
        self.pos[1] = min(max(self.pos[1] + dc, 0), self.size - 1)
        self.t += 1
        goal = self.pos == [self.size - 1, self.size - 1]
        return self.state(), (1.0 if goal else -0.05), goal, goal or self.t >= 30


def q_net():
    return nn.Sequential(nn.Linear(10, 48), nn.ReLU(), nn.Linear(48, 4))


def learn(net, target, memory, opt, gamma=0.95, size=64):
    s, a, r, s2, d = zip(*random.sample(memory, size))
    s, s2 = torch.stack(s), torch.stack(s2)
    a, r, d = torch.tensor(a), torch.tensor(r), torch.tensor(d).float()
    q = net(s).gather(1, a.unsqueeze(1)).squeeze(1)
    with torch.no_grad():
        goal = r + gamma * (1 - d) * target(s2).max(1).values
    loss = (q - goal).pow(2).mean()
    opt.zero_grad()
    loss.backward()
    opt.step()
    return loss.item()


def play(net, env, n=30):
    total = 0.0
    for _ in range(n):
        s, over = env.reset(), False
        while not over:
            with torch.no_grad():
                s, r, _, over = env.step(net(s).argmax().item())
            total += r
    return total / n


def main():
    random.seed(1)
    torch.manual_seed(1)
    env, net, target = Grid(), q_net(), q_net()
    target.load_state_dict(net.state_dict())
    memory = deque(maxlen=4000)
    opt = torch.optim.Adam(net.parameters(), lr=2e-3)
    updates = 0
    for episode in range(1, 161):
        s, over = env.reset(), False
        eps = max(0.1, 1 - episode / 100)
        while not over:
            a = random.randrange(4) if random.random() < eps else net(s).argmax().item()
            s2, r, end, over = env.step(a)
            memory.append((s, a, r, s2, end))
            s = s2
            if len(memory) >= 200:
                loss = learn(net, target, memory, opt)
                updates += 1
                if updates % 100 == 0:
                    target.load_state_dict(net.state_dict())
        if episode % 40 == 0:
            print(f"episode {episode} updates {updates} loss {loss:.4f} greedy return {play(net, env):.3f}")


main()
