"""A cart on rails is to stop at the mark: values of three pushes, learnt from a memory."""

import random
from collections import deque

import torch
from torch import nn

random.seed(0)
torch.manual_seed(0)


class Rails:
    def reset(self) -> list[float]:
        self.place, self.speed, self.time = random.uniform(-1, 1), 0.0, 0
        return [self.place, self.speed]

    def step(self, push: int) -> tuple[list[float], float, bool]:
        self.speed = 0.9 * self.speed + 0.1 * (push - 1)
        self.place += self.speed
        self.time += 1
        return [self.place, self.speed], -abs(self.place), self.time >= 25


class Values(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.body = nn.Sequential(nn.Linear(2, 48), nn.ReLU(), nn.Linear(48, 3))

    def forward(self, states: torch.Tensor) -> torch.Tensor:
        return self.body(states)


values, behind, rails = Values(), Values(), Rails()
behind.load_state_dict(values.state_dict())
optimizer = torch.optim.Adam(values.parameters(), lr=1e-3)
memory: deque[tuple[list[float], int, float, list[float]]] = deque(maxlen=4000)
for episode in range(60):
    state, total, done = rails.reset(), 0.0, False
    while not done:
        if random.random() < max(0.05, 1 - episode / 30):
            push = random.randrange(3)
        else:
            push = int(values(torch.tensor([state])).argmax())
        following, reward, done = rails.step(push)
        memory.append((state, push, reward, following))
        state, total = following, total + reward
        if len(memory) >= 100:
            states, pushes, rewards, after = zip(*random.sample(memory, 32))
            with torch.no_grad():
                target = torch.tensor(rewards) + 0.9 * behind(torch.tensor(after)).max(dim=1).values
            scores = values(torch.tensor(states))
            predicted = scores.gather(1, torch.tensor(pushes)[:, None]).squeeze(1)
            loss = nn.functional.smooth_l1_loss(predicted, target)
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
    if episode % 4 == 3:
        behind.load_state_dict(values.state_dict())
        print(f"episode {episode} return {total:.2f}")
