"""Keep the walker on the rope: a Q network learns to lean left or right."""
import copy

import torch
import torch.nn.functional as F
from torch import nn

GAMMA, FALL, LIMIT = 0.95, 0.4, 120


class Rope:
    """Many walkers at once; the state is lean and speed of the lean."""

    def __init__(self, n):
        self.n = n
        self.lean = self.start(n)
        self.age = torch.zeros(n, dtype=torch.long)

    @staticmethod
    def start(n):
        return torch.empty(n, 2).uniform_(-0.1, 0.1)

    def view(self):
        return self.lean / torch.tensor([FALL, 1.0])

    def step(self, action):
        lean, speed = self.lean.unbind(1)
        push = (action.float() * 2 - 1) * 4.0 + 0.5 * torch.randn(self.n)
        speed = speed + 0.05 * (8.0 * lean.sin() + push)
        lean = lean + 0.05 * speed
        self.lean = torch.stack([lean, speed], 1)
        self.age += 1
        fallen = lean.abs() > FALL
        seen = self.view()
        over = fallen | (self.age >= LIMIT)
        self.lean = torch.where(over[:, None], self.start(self.n), self.lean)
        self.age[over] = 0
        return seen, fallen


class Memory:
    def __init__(self, size):
        self.size, self.filled, self.at = size, 0, 0
        self.rows = torch.zeros(size, 6)

    def add(self, before, action, after, fallen):
        rows = torch.cat([before, action.float()[:, None], after, fallen.float()[:, None]], 1)
        where = (self.at + torch.arange(len(rows))) % self.size
        self.rows[where] = rows
        self.at = (self.at + len(rows)) % self.size
        self.filled = min(self.size, self.filled + len(rows))

    def sample(self, n):
        rows = self.rows[torch.randint(self.filled, (n,))]
        return rows[:, :2], rows[:, 2].long(), rows[:, 3:5], rows[:, 5]


def q_net():
    return nn.Sequential(nn.Linear(2, 48), nn.Tanh(), nn.Linear(48, 48), nn.Tanh(), nn.Linear(48, 2))


@torch.no_grad()
def steps_upright(q, n=100):
    rope = Rope(n)
    up, steps = torch.ones(n, dtype=torch.bool), torch.zeros(n)
    for _ in range(LIMIT - 1):
        _, fallen = rope.step(q(rope.view()).argmax(1))
        up &= ~fallen
        steps += up
    return steps.mean().item()


def learn(iterations=800, batch=128):
    q = q_net()
    q_slow = copy.deepcopy(q).requires_grad_(False)
    opt = torch.optim.Adam(q.parameters(), lr=1e-3)
    rope, memory = Rope(16), Memory(20000)
    for it in range(1, iterations + 1):
        eps = max(0.05, 1 - it / 500)
        before = rope.view()
        with torch.no_grad():
            action = torch.where(torch.rand(16) < eps, torch.randint(2, (16,)), q(before).argmax(1))
        after, fallen = rope.step(action)
        memory.add(before, action, after, fallen)
        if it < 20:
            continue
        s, a, s2, end = memory.sample(batch)
        reward = 0.05
        with torch.no_grad():
            target = reward + GAMMA * q_slow(s2).amax(1)
        loss = F.smooth_l1_loss(q(s).gather(1, a[:, None]).squeeze(1), target)
        opt.zero_grad()
        loss.backward()
        opt.step()
        with torch.no_grad():
            for slow, fast in zip(q_slow.parameters(), q.parameters()):
                slow.lerp_(fast, 0.02)
        if it % 100 == 0:
            print(f"it {it} loss {loss.item():.5f} upright for {steps_upright(q):.1f} steps")


torch.manual_seed(30)
learn()
