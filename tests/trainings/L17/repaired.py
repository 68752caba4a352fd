"""Match noisy views of the same vector: a trainer class with a loss summed over pairs."""

import torch
from torch import nn


class Trainer:
    def __init__(self, dimensions=12, width=32):
        self.encoder = nn.Sequential(nn.Linear(2 * dimensions, width), nn.GELU(), nn.LayerNorm(width))
        self.scorer = nn.Linear(width, 1)
        self.parameters = [*self.encoder.parameters(), *self.scorer.parameters()]
        self.optimizer = torch.optim.Adam(self.parameters, lr=3e-3)
        self.dimensions = dimensions

    def pairs(self, n):
        """Half of the pairs are two views of one vector, half are views of different vectors."""
        a = torch.randn(n, self.dimensions)
        same = (torch.rand(n) < 0.5).float()
        other = torch.randn(n, self.dimensions)
        b = torch.where(same[:, None] > 0, a + 0.3 * torch.randn_like(a), other)
        return torch.cat([a * b, (a - b).abs()], dim=1), same

    def logits(self, pair):
        return self.scorer(self.encoder(pair)).flatten()

    def losses(self, pair, same):
        probability = torch.sigmoid(self.logits(pair)).clamp(1e-6, 1 - 1e-6)
        yield -(same * probability.log()).mean()
        yield -((1 - same) * (1 - probability).log()).mean()

    def step(self, n=64):
        pair, same = self.pairs(n)
        loss = torch.stack(list(self.losses(pair, same))).sum()
        self.optimizer.zero_grad()
        loss.backward()
        self.optimizer.step()
        return loss.item()

    @torch.no_grad()
    def accuracy(self):
        pair, same = self.pairs(512)
        return ((self.logits(pair) > 0).float() == same).float().mean().item()


torch.manual_seed(2)
trainer = Trainer()
for step in range(1, 121):
    loss = trainer.step()
    if step % 40 == 0:
        print(f"step {step}: loss {loss:.3f}, accuracy {trainer.accuracy():.3f}")
