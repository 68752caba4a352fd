"""A small grid: walk to the far corner within 12 moves. REINFORCE with a running baseline."""

import torch
import torch.nn as nn
from torch.distributions import Categorical

torch.manual_seed(1)
SIZE, MOVES = 4, 12
STEPS = torch.tensor([[0, 1], [1, 0], [0, -1], [-1, 0]])


class Policy(nn.Module):
    def __init__(self):
        super().__init__()
        self.body = nn.Linear(2 * SIZE, 32)
        self.head = nn.Linear(32, 4)

    def forward(self, s):
        return self.head(torch.tanh(self.body(s)))


def encode(pos):
    return torch.cat([nn.functional.one_hot(pos[:, 0], SIZE), nn.functional.one_hot(pos[:, 1], SIZE)], 1).float()


def rollout(policy, n=16):
    pos = torch.zeros(n, 2, dtype=torch.long)
    done = torch.zeros(n, dtype=torch.bool)
    log_probs, rewards, alive = [], [], []
    for _ in range(MOVES):
        dist = Categorical(logits=policy(encode(pos)))
        action = dist.sample()
        log_probs.append(dist.log_prob(action))
        alive.append((~done).float())
        pos = torch.where(done[:, None], pos, (pos + STEPS[action]).clamp(0, SIZE - 1))
        arrived = (pos == SIZE - 1).all(1)
        rewards.append(torch.where(done, 0.0, torch.where(arrived, 1.0, -0.05)))
        done |= arrived
    return torch.stack(log_probs), torch.stack(rewards), torch.stack(alive)


policy = Policy()
optimizer = torch.optim.Adam(policy.parameters(), lr=1e-2)
baseline = 0.0
history = []
for episode in range(300):
    log_probs, rewards, alive = rollout(policy)
    returns = rewards.flip(0).cumsum(0).flip(0)
    baseline = 0.9 * baseline + 0.1 * returns[0].mean().item()
    advantage = returns - baseline
    policy_loss = -(log_probs * advantage * alive).sum(0).mean()
    optimizer.zero_grad()
    policy_loss.backward()
    optimizer.step()
    history.append(rewards.sum(0).mean().item())
    if episode % 30 == 29:
        print(f"episode {episode + 1} average reward {sum(history[-30:]) / 30:.3f}")
