"""Policy gradient for a marble on a tilting 5x5 board with holes. Batches of episodes."""
import random
from typing import List, Tuple

import torch
import torch.nn as nn
from torch.distributions import Categorical

SIZE = 5
HOLES = {(1, 1), (1, 3), (3, 0), (3, 3)}
GOAL = (4, 4)
MOVES = [(-1, 0), (1, 0), (0, -1), (0, 1)]


class Board:
    def reset(self) -> int:
        self.pos = (0, 0)
        self.steps = 0
        return self.index()

    def index(self) -> int:
        return self.pos[0] * SIZE + self.pos[1]

    def step(self, a: int) -> Tuple[int, float, bool]:
        if random.random() < 0.05:
            a = random.randrange(4)                 # the hand shakes
        r = min(max(self.pos[0] + MOVES[a][0], 0), SIZE - 1)
        c = min(max(self.pos[1] + MOVES[a][1], 0), SIZE - 1)
        before = abs(self.pos[0] - 4) + abs(self.pos[1] - 4)
        self.pos = (r, c)
        self.steps += 1
        after = abs(r - 4) + abs(c - 4)
        if self.pos in HOLES:
            return self.index(), -1.0, True
        if self.pos == GOAL:
            return self.index(), 2.0, True
        return self.index(), 0.1 * (before - after) - 0.02, self.steps >= 30


class Agent(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.board = nn.Embedding(SIZE * SIZE, 24)
        self.net = nn.Sequential(nn.Tanh(), nn.Linear(24, 32), nn.Tanh(), nn.Linear(32, 4))

    def forward(self, s: torch.Tensor) -> Categorical:
        return Categorical(logits=self.net(self.board(s)))


def play(env: Board, agent: Agent):
    s, done = env.reset(), False
    states: List[int] = []
    actions: List[int] = []
    rewards: List[float] = []
    with torch.no_grad():                           # the log-probabilities are computed afterwards
        while not done:
            a = agent(torch.tensor(s)).sample().item()
            states.append(s)
            actions.append(a)
            s, r, done = env.step(a)
            rewards.append(r)
    togo, g = [], 0.0
    for r in reversed(rewards):
        g = r + 0.97 * g
        togo.insert(0, g)
    return states, actions, togo, sum(rewards), env.pos == GOAL


def main() -> None:
    random.seed(23)
    torch.manual_seed(23)
    env, agent = Board(), Agent()
    ascent = torch.optim.Adam(agent.parameters(), lr=1e-2, maximize=True)
    wins = 0.0
    for it in range(1, 101):
        S, A, G, totals, won = [], [], [], [], []
        for _ in range(12):
            s, a, g, tot, w = play(env, agent)
            S += s
            A += a
            G += g
            totals.append(tot)
            won.append(w)
        adv = torch.tensor(G)
        adv = (adv - adv.mean()) / (adv.std() + 1e-6)
        dist = agent(torch.tensor(S))
        objective = (dist.log_prob(torch.tensor(A)) * adv).mean() + 0.01 * dist.entropy().mean()
        ascent.zero_grad()
        objective.backward()
        ascent.step()
        if it % 10 == 0:
            print(f"iteration {it:3d} objective {objective.item():+.4f} "
                  f"reward {sum(totals) / len(totals):.3f} goals {sum(won)}/12")
    with torch.no_grad():
        wins = sum(play(env, agent)[4] for _ in range(100)) / 100
    print(f"share of games won {wins:.3f}")


if __name__ == "__main__":
    main()
