"""A rover drives over a square field to the bale that has to be picked up. DQN with replay and a target network."""
import random
from collections import deque

import numpy as np
import torch
import torch.nn as nn
import torch.nn.functional as F

SIZE = 6
MOVES = np.array([[-1, 0], [1, 0], [0, -1], [0, 1]], dtype=np.float32)


class Field:
    """State: row and column of the rover, row and column of the bale, all scaled to 0..1."""

    def __init__(self, max_steps=25):
        self.max_steps = max_steps
        self.state = None
        self.t = 0

    def _observe(self):
        return self.state.copy()

    def reset(self):
        cells = random.sample(range(SIZE * SIZE), 2)
        self.state = np.array([cells[0] // SIZE, cells[0] % SIZE, cells[1] // SIZE, cells[1] % SIZE],
                              dtype=np.float32) / (SIZE - 1)
        self.t = 0
        return self._observe()

    def step(self, action):
        self.t += 1
        before = np.abs(self.state[:2] - self.state[2:]).sum()
        self.state[:2] += MOVES[action] / (SIZE - 1)
        np.clip(self.state, 0.0, 1.0, out=self.state)
        left = np.abs(self.state[:2] - self.state[2:]).sum()
        reached = bool(left < 1e-3)
        reward = 1.0 if reached else -0.05 + 0.1 * float(before - left)
        return self._observe(), reward, reached, self.t >= self.max_steps


class QNet(nn.Module):
    def __init__(self, n_obs=4, n_actions=4, hidden=64):
        super().__init__()
        self.fc1 = nn.Linear(n_obs, hidden)
        self.fc2 = nn.Linear(hidden, hidden)
        self.out = nn.Linear(hidden, n_actions)

    def forward(self, x):
        x = F.relu(self.fc1(x))
        x = F.relu(self.fc2(x))
        return self.out(x)


class ReplayBuffer:
    def __init__(self, capacity):
        self.memory = deque(maxlen=capacity)

    def push(self, *transition):
        self.memory.append(transition)

    def sample(self, n):
        batch = random.sample(self.memory, n)
        s, a, r, s2, d = zip(*batch)
        return (torch.from_numpy(np.stack(s)), torch.tensor(a), torch.tensor(r, dtype=torch.float32),
                torch.from_numpy(np.stack(s2)), torch.tensor(d, dtype=torch.float32))

    def __len__(self):
        return len(self.memory)


class Agent:
    def __init__(self, gamma=0.95, lr=1e-3):
        self.policy = QNet()
        self.target = QNet()
        self.target.load_state_dict(self.policy.state_dict())
        self.opt = torch.optim.Adam(self.policy.parameters(), lr=lr)
        self.gamma = gamma
        self.updates = 0

    def act(self, state, eps):
        if random.random() < eps:
            return random.randrange(4)
        with torch.no_grad():
            return int(self.policy(torch.from_numpy(state)).argmax())

    def learn(self, buffer, batch_size=64):
        s, a, r, s2, done = buffer.sample(batch_size)
        q = self.policy(s).gather(1, a.unsqueeze(1)).squeeze(1)
        with torch.no_grad():
            best = self.target(s2).max(dim=1).values
            goal = r + self.gamma * best * (1 - done)
        loss = F.smooth_l1_loss(q, goal)
        self.opt.zero_grad()
        loss.backward()
        nn.utils.clip_grad_norm_(self.policy.parameters(), 10.0)
        self.opt.step()
        self.updates += 1
        if self.updates % 150 == 0:
            self.target.load_state_dict(self.policy.state_dict())
        return loss.item()


def evaluate(agent, env, episodes=100):
    found = 0
    for _ in range(episodes):
        state = env.reset()
        over = False
        while not over:
            state, _, reached, timeout = env.step(agent.act(state, eps=0.0))
            over = reached or timeout
        found += reached
    return found / episodes


def main():
    random.seed(5)
    np.random.seed(5)
    torch.manual_seed(5)
    env, agent, buffer = Field(), Agent(), ReplayBuffer(10_000)
    steps, recent = 0, deque(maxlen=50)
    for episode in range(240):
        eps = max(0.05, 1.0 - episode / 140)
        state, over, losses = env.reset(), False, []
        while not over:
            action = agent.act(state, eps)
            next_state, reward, reached, timeout = env.step(action)
            buffer.push(state, action, reward, next_state, reached)
            state = next_state
            over = reached or timeout
            steps += 1
            if len(buffer) >= 500 and steps % 2 == 0:
                losses.append(agent.learn(buffer))
        recent.append(float(reached))
        if (episode + 1) % 40 == 0:
            shown = np.mean(losses) if losses else float("nan")
            print(f"episode {episode + 1:4d}  eps {eps:.2f}  loss {shown:.4f}  reached (last 50) {np.mean(recent):.2f}")
    print(f"greedy success rate {evaluate(agent, env):.3f}")


if __name__ == "__main__":
    main()
