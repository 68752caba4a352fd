"""DQN for a mouse that has to find the cheese in a pantry of 5x5 tiles."""
import os
import random
from collections import deque

import numpy as np
import torch
import torch.nn as nn
import torch.nn.functional as F

SEED = int(os.environ.get("SEED", "0"))
random.seed(SEED)
np.random.seed(SEED)
torch.manual_seed(SEED)

SIZE = 5
WALLS = {(1, 1), (1, 2), (3, 3), (2, 3)}
CHEESE = (4, 4)
MOVES = [(-1, 0), (1, 0), (0, -1), (0, 1)]


class Pantry:
    """reset() -> state, step(a) -> state, reward, done (same interface as the old gym)."""

    def __init__(self, max_steps=30):
        self.max_steps = max_steps
        self.state = np.zeros(SIZE * SIZE, dtype=np.float32)
        self.pos = (0, 0)

    def _place(self, pos):
        self.state[self.pos[0] * SIZE + self.pos[1]] = 0.0
        self.pos = pos
        self.state[pos[0] * SIZE + pos[1]] = 1.0
        return self.state.copy()

    def reset(self):
        self.t = 0
        free = [(r, c) for r in range(SIZE) for c in range(SIZE) if (r, c) not in WALLS and (r, c) != CHEESE]
        return self._place(random.choice(free))

    def step(self, action):
        self.t += 1
        r, c = self.pos[0] + MOVES[action][0], self.pos[1] + MOVES[action][1]
        if not (0 <= r < SIZE and 0 <= c < SIZE) or (r, c) in WALLS:
            r, c = self.pos
        state = self._place((r, c))
        found = (r, c) == CHEESE
        reward = 1.0 if found else -0.05
        return state, reward, found or self.t >= self.max_steps


class ReplayMemory:
    def __init__(self, capacity):
        self.memory = deque(maxlen=capacity)

    def push(self, *transition):
        self.memory.append(transition)

    def sample(self, batch_size):
        s, a, r, s2, d = zip(*random.sample(self.memory, batch_size))
        return (
            torch.from_numpy(np.stack(s)),
            torch.tensor(a).unsqueeze(1),
            torch.tensor(r),
            torch.from_numpy(np.stack(s2)),
            torch.tensor(d, dtype=torch.float32),
        )

    def __len__(self):
        return len(self.memory)


def make_net():
    return nn.Sequential(nn.Linear(SIZE * SIZE, 64), nn.ReLU(), nn.Linear(64, len(MOVES)))


policy_net, target_net = make_net(), make_net()
target_net.load_state_dict(policy_net.state_dict())
optimizer = torch.optim.Adam(policy_net.parameters(), lr=2e-3)
memory = ReplayMemory(5000)
env = Pantry()
gamma, batch_size = 0.95, 32


def select_action(state, eps):
    if random.random() < eps:
        return random.randrange(len(MOVES))
    with torch.no_grad():
        return policy_net(torch.from_numpy(state)).argmax().item()


def optimize():
    s, a, r, s2, d = memory.sample(batch_size)
    q = policy_net(s).gather(1, a).squeeze(1)
    with torch.no_grad():
        target = r + gamma * (1 - d) * target_net(s2).max(1).values
    loss = F.smooth_l1_loss(q, target)
    optimizer.zero_grad()
    loss.backward()
    nn.utils.clip_grad_norm_(policy_net.parameters(), 10.0)
    optimizer.step()
    return loss.item()


def evaluate(episodes=40):
    total = 0.0
    for _ in range(episodes):
        state, done = env.reset(), False
        while not done:
            state, reward, done = env.step(select_action(state, 0.0))
            total += reward
    return total / episodes


steps, recent = 0, deque(maxlen=20)
state = env.reset()
episode_return = 0.0
while steps < 3000:
    eps = max(0.1, 1.0 - steps / 2000)
    action = select_action(state, eps)
    next_state, reward, done = env.step(action)
    memory.push(state, action, reward, next_state, done)
    state = next_state
    episode_return += reward
    steps += 1
    if len(memory) >= 200:
        loss = optimize()
    if steps % 100 == 0:
        target_net.load_state_dict(policy_net.state_dict())
    if done:
        recent.append(episode_return)
        state, episode_return = env.reset(), 0.0
    if steps % 500 == 0:
        print(f"step {steps} eps {eps:.2f} loss {loss:.4f} mean return of the last 20 episodes {np.mean(recent):.3f}")

print(f"greedy return {evaluate():.4f}")
