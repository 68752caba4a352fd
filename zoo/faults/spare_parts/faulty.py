"""How many spare parts to order each day: a DQN on a small simulator."""
import random
from collections import deque

import numpy as np
import torch
import torch.nn as nn

ORDERS = [0, 2, 4, 6, 8]


class PartsStore:
    """State: stock, parts under way, sine and cosine of the weekday."""

    capacity = 20
    days = 42

    def __init__(self):
        self.state = np.zeros(4, dtype=np.float32)

    def _calendar(self):
        self.state[2] = np.sin(2 * np.pi * self.day / 7)
        self.state[3] = np.cos(2 * np.pi * self.day / 7)

    def reset(self):
        self.day = random.randrange(7)
        self.left = self.days
        # one buffer for the whole life of the store, no garbage for each step
        self.state[0] = np.random.randint(0, 10) / self.capacity
        self.state[1] = 0.0
        self._calendar()
        return self.state

    def step(self, action):
        order = ORDERS[action]
        stock = self.state[0] * self.capacity
        arriving = self.state[1] * self.capacity
        stock = min(stock + arriving, self.capacity)
        demand = np.random.poisson(6.0 if self.day % 7 in (0, 1) else 1.5)
        sold = min(stock, demand)
        reward = 1.0 * sold - 1.5 * (demand - sold) - 0.15 * (stock - sold) - (0.4 if order else 0.0)
        self.state[0] = (stock - sold) / self.capacity
        self.state[1] = order / self.capacity
        self.day += 1
        self.left -= 1
        self._calendar()
        return self.state, float(reward), self.left == 0


class ReplayBuffer:
    def __init__(self, size):
        self.items = deque(maxlen=size)

    def push(self, state, action, reward, next_state, done):
        self.items.append((state, action, reward, next_state, done))

    def sample(self, n):
        s, a, r, s2, d = zip(*random.sample(self.items, n))
        return (torch.from_numpy(np.stack(s)), torch.tensor(a), torch.tensor(r, dtype=torch.float32),
                torch.from_numpy(np.stack(s2)), torch.tensor(d, dtype=torch.float32))

    def __len__(self):
        return len(self.items)


class Agent:
    def __init__(self, gamma=0.9, lr=1e-3):
        self.q = self._net()
        self.target = self._net()
        self.target.load_state_dict(self.q.state_dict())
        self.opt = torch.optim.Adam(self.q.parameters(), lr=lr)
        self.gamma = gamma
        self.loss_fn = nn.SmoothL1Loss()

    def _net(self):
        return nn.Sequential(nn.Linear(4, 64), nn.ReLU(), nn.Linear(64, 64), nn.ReLU(), nn.Linear(64, len(ORDERS)))

    @torch.no_grad()
    def act(self, state, eps=0.0):
        if random.random() < eps:
            return random.randrange(len(ORDERS))
        return int(self.q(torch.from_numpy(state)).argmax())

    def learn(self, batch):
        s, a, r, s2, d = batch
        value = self.q(s).gather(1, a[:, None]).squeeze(1)
        with torch.no_grad():
            best = self.q(s2).argmax(dim=1, keepdim=True)
            goal = r + self.gamma * (1 - d) * self.target(s2).gather(1, best).squeeze(1)
        loss = self.loss_fn(value, goal)
        self.opt.zero_grad()
        loss.backward()
        nn.utils.clip_grad_norm_(self.q.parameters(), 10.0)
        self.opt.step()
        return loss.item()


def evaluate(agent, env, episodes=30):
    total = 0.0
    for _ in range(episodes):
        state, done = env.reset(), False
        while not done:
            state, reward, done = env.step(agent.act(state))
            total += reward
    return total / episodes


def main():
    random.seed(3)
    np.random.seed(3)
    torch.manual_seed(3)
    env, agent, buffer = PartsStore(), Agent(), ReplayBuffer(8000)
    steps = 0
    for episode in range(120):
        state, done, losses = env.reset(), False, []
        eps = max(0.05, 1.0 - episode / 60)
        while not done:
            action = agent.act(state, eps)
            next_state, reward, done = env.step(action)
            buffer.push(state, action, reward, next_state, done)
            state = next_state
            steps += 1
            if len(buffer) >= 300 and steps % 3 == 0:
                losses.append(agent.learn(buffer.sample(64)))
            if steps % 200 == 0:
                agent.target.load_state_dict(agent.q.state_dict())
        if losses and episode % 15 == 14:
            print(f"episode {episode + 1} eps {eps:.2f} loss {np.mean(losses):.3f} return {evaluate(agent, env, 5):.2f}")
    print(f"profit of six weeks {evaluate(agent, env):.3f}")


if __name__ == "__main__":
    main()
