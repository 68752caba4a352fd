"""Policy gradient: which arm pays depends on the colour of the machine."""

import torch
from torch import nn
from torch.distributions import Categorical

COLOURS, ARMS = 6, 4


class Player(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.hidden = nn.Linear(COLOURS, 32)
        self.choice = nn.Linear(32, ARMS)

    def forward(self, colour: torch.Tensor) -> torch.Tensor:
        return self.choice(self.hidden(colour).tanh()).softmax(-1)


torch.manual_seed(3)
pays = torch.randint(ARMS, (COLOURS,))
player = Player()
optimizer = torch.optim.Adam(player.parameters(), lr=2e-2)
for game in range(1, 201):
    colour = torch.randint(COLOURS, (64,))
    policy = Categorical(probs=player(torch.eye(COLOURS)[colour]))
    arm = policy.sample()
    reward = torch.where(arm == pays[colour], 1.0, -0.2) + 0.1 * torch.randn(64)
    loss = -(policy.log_prob(arm) * (reward - reward.mean())).mean()
    optimizer.zero_grad()
    loss.backward()
    optimizer.step()
    if game % 20 == 0:
        print(f"game {game} reward {reward.mean().item():.3f}")
