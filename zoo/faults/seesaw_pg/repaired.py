"""A ball on a seesaw: tilt it left or right so that the ball does not roll off (policy gradient)."""
import numpy as np
import torch
import torch.nn as nn
import torch.nn.functional as F
import torch.optim as optim
from torch.distributions import Categorical

GAMMA = 0.97
MAX_STEPS = 80
LOG_INTERVAL = 20


class Seesaw:
    def reset(self):
        self.pos = np.random.uniform(-0.2, 0.2)
        self.speed = 0.0
        self.tilt = np.random.uniform(-0.1, 0.1)
        return self.state()

    def state(self):
        return np.array([self.pos, self.speed, self.tilt * 3], dtype=np.float32)

    def step(self, action):
        self.tilt = np.clip(self.tilt + (0.12 if action == 1 else -0.12), -0.6, 0.6)
        self.speed += 0.25 * self.tilt + 0.01 * np.random.randn()
        self.pos += 0.25 * self.speed
        return self.state(), 1.0, abs(self.pos) > 1.0


class Policy(nn.Module):
    def __init__(self):
        super().__init__()
        self.affine1 = nn.Linear(3, 24)
        self.affine2 = nn.Linear(24, 2)
        self.saved_log_probs = []
        self.rewards = []

    def forward(self, x):
        return F.softmax(self.affine2(torch.tanh(self.affine1(x))), dim=-1)


def select_action(policy, state):
    m = Categorical(policy(torch.from_numpy(state)))
    action = m.sample()
    policy.saved_log_probs.append(m.log_prob(action))
    return action.item()


def finish_episode(policy, optimizer):
    R = 0
    returns = []
    for r in policy.rewards[::-1]:
        R = r + GAMMA * R
        returns.insert(0, R)
    returns = torch.tensor(returns)
    returns = (returns - returns.mean()) / (returns.std() + 1e-6)
    policy_loss = []
    for log_prob, R in zip(policy.saved_log_probs, returns):
        policy_loss.append(-log_prob * R)
    optimizer.zero_grad()
    policy_loss = torch.stack(policy_loss).sum()
    policy_loss.backward()
    optimizer.step()
    del policy.rewards[:]
    del policy.saved_log_probs[:]
    return policy_loss.item()


def main():
    np.random.seed(8)
    torch.manual_seed(8)
    env = Seesaw()
    policy = Policy()
    optimizer = optim.Adam(policy.parameters(), lr=0.01)
    lengths = []
    for i_episode in range(1, 221):
        state = env.reset()
        for t in range(1, MAX_STEPS + 1):
            state, reward, done = env.step(select_action(policy, state))
            policy.rewards.append(reward)
            if done:
                break
        lengths.append(t)
        loss = finish_episode(policy, optimizer)
        if i_episode % LOG_INTERVAL == 0:
            print("Episode {}\tloss {:.3f}\tlast {}\taverage of the last 40: {:.1f}".format(i_episode, loss, t, np.mean(lengths[-40:])))


if __name__ == "__main__":
    main()
