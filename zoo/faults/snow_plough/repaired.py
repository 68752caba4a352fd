"""DQN for a plough that has to reach the depot through drifts."""
import os
import random
from collections import deque, namedtuple

import numpy as np
import torch
import torch.nn as nn
import torch.optim as optim

SEED = int(os.environ.get("SEED", "0"))
random.seed(SEED)
np.random.seed(SEED)
torch.manual_seed(SEED)

Transition = namedtuple("Transition", "state action reward next_state done")


class PloughEnv:
    """5 x 5 yard. Depot in one corner, drifts cost extra, at most 30 moves."""

    MOVES = [(0, 1), (0, -1), (1, 0), (-1, 0)]

    def __init__(self, size=5):
        self.size = size
        rng = np.random.default_rng(SEED)
        self.drifts = set()
        while len(self.drifts) < 5:
            cell = tuple(int(v) for v in rng.integers(0, size, 2))
            if cell not in [(size - 1, size - 1)]:
                self.drifts.add(cell)

    def _obs(self):
        obs = np.zeros(2 * self.size, dtype=np.float32)
        obs[self.pos[0]] = 1
        obs[self.size + self.pos[1]] = 1
        return obs

    def reset(self):
        while True:
            self.pos = [random.randrange(self.size), random.randrange(self.size)]
            if self.pos != [self.size - 1, self.size - 1]:
                break
        self.t = 0
        return self._obs()

    def step(self, action):
        dx, dy = self.MOVES[action]
        if random.random() < 0.05:
            dx, dy = random.choice(self.MOVES)
        self.pos[0] = min(max(self.pos[0] + dx, 0), self.size - 1)
        self.pos[1] = min(max(self.pos[1] + dy, 0), self.size - 1)
        self.t += 1
        reward = -0.1
        if tuple(self.pos) in self.drifts:
            reward -= 0.4
        done = False
        if self.pos == [self.size - 1, self.size - 1]:
            reward, done = 2.0, True
        truncated = self.t >= 30
        return self._obs(), reward, done, truncated


class QNet(nn.Module):
    def __init__(self, n_obs, n_actions):
        super().__init__()
        self.net = nn.Sequential(nn.Linear(n_obs, 64), nn.ReLU(), nn.Linear(64, 64), nn.ReLU(), nn.Linear(64, n_actions))

    def forward(self, x):
        return self.net(x)


class Agent:
    gamma = 0.95
    batch_size = 64
    sync_every = 100

    def __init__(self, n_obs, n_actions):
        self.n_actions = n_actions
        self.policy = QNet(n_obs, n_actions)
        self.target = QNet(n_obs, n_actions)
        self.target.load_state_dict(self.policy.state_dict())
        self.opt = optim.Adam(self.policy.parameters(), lr=1e-3)
        self.memory = deque(maxlen=5000)
        self.steps = 0

    def act(self, state, eps):
        if random.random() < eps:
            return random.randrange(self.n_actions)
        with torch.no_grad():
            return int(self.policy(torch.from_numpy(state)).argmax())

    def learn(self):
        if len(self.memory) < 200:
            return None
        batch = Transition(*zip(*random.sample(self.memory, self.batch_size)))
        states = torch.from_numpy(np.stack(batch.state))
        actions = torch.tensor(batch.action).unsqueeze(1)
        rewards = torch.tensor(batch.reward, dtype=torch.float32)
        next_states = torch.from_numpy(np.stack(batch.next_state))
        done = torch.tensor(batch.done, dtype=torch.float32)

        q = self.policy(states).gather(1, actions).squeeze(1)
        with torch.no_grad():
            best_next = self.target(next_states).max(1).values
        wanted = rewards + self.gamma * best_next * (1 - done)
        loss = nn.functional.smooth_l1_loss(q, wanted)
        self.opt.zero_grad()
        loss.backward()
        self.opt.step()
        self.steps += 1
        if self.steps % self.sync_every == 0:
            self.target.load_state_dict(self.policy.state_dict())
        return loss.item()


def play(env, agent, eps, learn):
    state, total, done, truncated = env.reset(), 0.0, False, False
    while not (done or truncated):
        action = agent.act(state, eps)
        nxt, reward, done, truncated = env.step(action)
        if learn:
            agent.memory.append(Transition(state, action, reward, nxt, done))
            agent.learn()
        state = nxt
        total += reward
    return total


if __name__ == "__main__":
    env = PloughEnv()
    agent = Agent(10, 4)
    returns = []
    episodes = 220
    for ep in range(episodes):
        eps = max(0.05, 1.0 - ep / 120)
        returns.append(play(env, agent, eps, learn=True))
        if (ep + 1) % 50 == 0:
            print(f"episode {ep + 1}  eps {eps:.2f}  mean return {np.mean(returns[-50:]):.3f}")
    tests = [play(env, agent, 0.0, learn=False) for _ in range(200)]
    print(f"greedy return {np.mean(tests):.4f}")
