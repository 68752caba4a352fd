"""Which switches go together? A density model of binary panels with an importance-weighted bound."""
import math
from typing import NamedTuple

import torch
from torch import Tensor, nn
from torch.distributions import Bernoulli, Independent, Normal

SWITCHES = 36


class Bounds(NamedTuple):
    train: Tensor
    log_px: float


def panels(n: int) -> Tensor:
    """A lit rectangle or its negative on a 6 x 6 board; some switches are stuck by chance."""
    start = torch.randint(0, 4, (n, 2))
    size = torch.randint(2, 4, (n, 2))
    i = torch.arange(6)
    inside = (i >= start[..., None]) & (i < (start + size)[..., None])
    board = inside[:, 0, :, None] & inside[:, 1, None, :]
    board = board ^ (torch.rand(n, 1, 1) < 0.5)
    return (board ^ (torch.rand(n, 6, 6) < 0.02)).flatten(1).float()


class IWAE(nn.Module):
    def __init__(self, latent: int = 8, hidden: int = 96) -> None:
        super().__init__()
        self.enc = nn.Sequential(
            nn.Linear(SWITCHES, hidden), nn.ELU(), nn.Linear(hidden, hidden), nn.ELU(), nn.Linear(hidden, 2 * latent)
        )
        self.dec = nn.Sequential(
            nn.Linear(latent, hidden), nn.ELU(), nn.Linear(hidden, hidden), nn.ELU(), nn.Linear(hidden, SWITCHES)
        )
        self.prior = Independent(Normal(torch.zeros(latent), torch.ones(latent)), 1)

    def log_weights(self, x: Tensor, k: int) -> Tensor:
        """log p(x, z) - log q(z | x) for k draws each: k x B."""
        mean, raw = self.enc(2 * x - 1).chunk(2, 1)
        q = Independent(Normal(mean, nn.functional.softplus(raw) + 1e-3), 1)
        z = q.rsample((k,))
        p = Independent(Bernoulli(logits=self.dec(z), validate_args=False), 1)
        return p.log_prob(x) + self.prior.log_prob(z) - q.log_prob(z)

    def forward(self, x: Tensor, k: int) -> Tensor:
        return torch.logsumexp(self.log_weights(x, k), 0) - math.log(k)


def train(seed: int = 29, epochs: int = 16, k: int = 5) -> None:
    torch.manual_seed(seed)
    x, x_test = panels(4000), panels(400)
    model = IWAE()
    opt = torch.optim.Adam(model.parameters(), lr=2e-3)
    rate = x.mean(0).clamp(0.01, 0.99)
    independent = (x_test * rate.log() + (1 - x_test) * (1 - rate).log()).sum(1).mean()
    print(f"independent switches: {independent:.2f} nats")
    for epoch in range(1, epochs + 1):
        for rows in torch.randperm(len(x)).split(100):
            bound = model(x[rows], k).mean()
            opt.zero_grad()
            (-bound).backward()
            opt.step()
        if epoch % 4 == 0:
            model.eval()
            with torch.no_grad():
                tight = model(x_test, 200).mean().item()
            model.train()
            result = Bounds(bound.detach(), tight)
            print(f"epoch {epoch} bound of the last batch {result.train:.2f} log p(test) >= {result.log_px:.2f} nats")


if __name__ == "__main__":
    train()
