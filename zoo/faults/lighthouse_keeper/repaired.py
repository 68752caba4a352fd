# REINFORCE for a lighthouse keeper who has to save oil. Adapted from pytorch/examples reinforce.py
import random

import numpy as np
import torch
import torch.nn as nn
import torch.optim as optim
from torch.distributions import Categorical

random.seed(4)
np.random.seed(4)
torch.manual_seed(4)

GAMMA = 0.7
HOURS = 24


class Lighthouse:
    """state: darkness, fog, ships near, oil left.  actions: lamp off, low, high"""

    def reset(self):
        self.t = 0
        self.oil = 1.0
        self._weather()
        return self._obs()

    def _weather(self):
        self.dark = float(random.random() < 0.5)
        self.fog = random.random()
        self.ships = random.randint(0, 2)

    def _obs(self):
        return np.array([self.dark, self.fog, self.ships / 2, self.oil], dtype=np.float32)

    def step(self, action):
        use = (0.0, 0.04, 0.10)[action]
        lit = action if self.oil >= use else 0
        self.oil = max(0.0, self.oil - use)
        need = 0
        if self.ships and (self.dark or self.fog > 0.6):
            need = 2 if (self.dark and self.fog > 0.4) else 1
        reward = 1.0 if lit == need else -abs(lit - need)
        self.oil = min(1.0, self.oil + 0.04)
        self.t += 1
        self._weather()
        return self._obs(), float(reward), self.t >= HOURS


class Policy(nn.Module):
    def __init__(self):
        super().__init__()
        self.affine1 = nn.Linear(4, 48)
        self.affine2 = nn.Linear(48, 3)
        self.saved_log_probs = []
        self.rewards = []

    def forward(self, x):
        return torch.softmax(self.affine2(torch.relu(self.affine1(x))), dim=-1)


env = Lighthouse()
policy = Policy()
optimizer = optim.Adam(policy.parameters(), lr=1e-2)
eps = np.finfo(np.float32).eps.item()


def select_action(state):
    probs = policy(torch.from_numpy(state).unsqueeze(0))
    m = Categorical(probs)
    action = m.sample()
    policy.saved_log_probs.append(m.log_prob(action))
    return action.item()


def finish_episode():
    R = 0
    returns = []
    for r in policy.rewards[::-1]:
        R = r + GAMMA * R
        returns.insert(0, R)
    returns = torch.tensor(returns)
    returns = (returns - returns.mean()) / (returns.std() + eps)
    policy_loss = []
    for log_prob, R in zip(policy.saved_log_probs, returns):
        policy_loss.append(-log_prob * R)
    optimizer.zero_grad()
    policy_loss = torch.cat(policy_loss).sum()
    policy_loss.backward()
    optimizer.step()
    del policy.rewards[:]
    del policy.saved_log_probs[:]


def evaluate(episodes=60):
    total = 0.0
    with torch.no_grad():
        for _ in range(episodes):
            s, done = env.reset(), False
            while not done:
                a = policy(torch.from_numpy(s)).argmax().item()
                s, r, done = env.step(a)
                total += r
    return total / episodes


running_reward = 0.0
for i_episode in range(1, 301):
    state, done = env.reset(), False
    ep_reward = 0.0
    while not done:
        state, reward, done = env.step(select_action(state))
        policy.rewards.append(reward)
        ep_reward += reward
    running_reward = 0.05 * ep_reward + 0.95 * running_reward
    finish_episode()
    if i_episode % 100 == 0:
        print(f"Episode {i_episode}\tLast reward: {ep_reward:.2f}\tAverage reward: {running_reward:.2f}")

print(f"mean reward of the greedy policy: {evaluate():.3f}")
