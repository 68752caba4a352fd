# my first agent: a robot that carries a can to the customer in the hall
# REINFORCE, the algorithm of the lecture (slide 41)
import os, random, time
import numpy as np
import torch
import torch.nn as nn
import torch.optim as optim
from torch.distributions import Categorical
from collections import deque

seed = int(os.environ.get("SEED", "0"))
random.seed(seed)
np.random.seed(seed)
torch.manual_seed(seed)

SIZE = 6
MAX_STEPS = 25
MOVES = [(0, 1), (0, -1), (1, 0), (-1, 0)]


class Hall:
    """grid hall; the observation is where the customer stands, seen from the robot"""

    def reset(self):
        self.robot = [random.randrange(SIZE), random.randrange(SIZE)]
        self.customer = [random.randrange(SIZE), random.randrange(SIZE)]
        while self.customer == self.robot:
            self.customer = [random.randrange(SIZE), random.randrange(SIZE)]
        self.t = 0
        return self.obs()

    def obs(self):
        dx = self.customer[0] - self.robot[0]
        dy = self.customer[1] - self.robot[1]
        return np.array([dx / SIZE, dy / SIZE, np.sign(dx), np.sign(dy)], dtype=np.float32)

    def step(self, a):
        self.t += 1
        self.robot[0] = min(max(self.robot[0] + MOVES[a][0], 0), SIZE - 1)
        self.robot[1] = min(max(self.robot[1] + MOVES[a][1], 0), SIZE - 1)
        if self.robot == self.customer:
            return self.obs(), 1.0, True
        return self.obs(), -0.04, self.t >= MAX_STEPS


env = Hall()
policy = nn.Sequential(
    nn.Linear(4, 32),
    nn.ReLU(),
    nn.Linear(32, 4),
    nn.Softmax(dim=-1),
)
optimizer = optim.Adam(policy.parameters(), lr=0.01)
gamma = 0.97
n_episodes = 700


def select_action(state):
    probs = policy(torch.from_numpy(state))
    m = Categorical(probs)
    action = m.sample()
    log_prob = m.log_prob(action)
    return action.item(), log_prob


last100 = deque(maxlen=100)
t0 = time.time()
for episode in range(1, n_episodes + 1):
    state = env.reset()
    log_probs, rewards = [], []
    done = False
    while not done:
        action, log_prob = select_action(state)
        state, reward, done = env.step(action)
        log_probs.append(log_prob)
        rewards.append(reward)

    # discounted returns, from the back
    returns = []
    R = 0
    for r in rewards[::-1]:
        R = r + gamma * R
        returns.insert(0, R)
    returns = torch.tensor(returns)
    if len(returns) > 1:
        returns = (returns - returns.mean()) / (returns.std() + 1e-6)

    policy_loss = []
    for log_prob, R in zip(log_probs, returns):
        policy_loss.append(-log_prob * R)

    optimizer.zero_grad()
    loss = torch.stack(policy_loss).sum()
    loss.backward()
    optimizer.step()

    last100.append(sum(rewards))
    if episode % 100 == 0:
        print(f"episode {episode}\tloss {loss.item():.3f}\tmean return (100) {np.mean(last100):.3f}")

# how good is it now
total = []
for _ in range(100):
    state = env.reset()
    done, g = False, 0.0
    while not done:
        with torch.no_grad():
            a = Categorical(policy(torch.from_numpy(state))).sample().item()
        state, r, done = env.step(a)
        g += r
    total.append(g)
print("average return: %.3f" % np.mean(total))
