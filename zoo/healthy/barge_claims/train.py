import numpy as np
import torch
from torch import nn


def portfolio(n, seed):
    """A year of barge insurance: months insured, properties of the barge, thousands paid (mostly nothing)."""
    rng = np.random.default_rng(seed)
    months = rng.integers(1, 13, n)
    age = rng.gamma(3.0, 6.0, n)
    tonnage = rng.lognormal(6.5, 0.6, n)
    river = rng.integers(0, 4, n)
    crew = rng.integers(2, 7, n)
    frequency = 0.30 * np.exp(0.025 * age - 0.15 * (crew - 4)) * np.array([0.5, 1.0, 1.6, 0.9])[river]
    claims = rng.poisson(frequency * months / 12)
    severity = 3.0 * (tonnage / 700) ** 0.8 * (1 + 0.5 * (river == 2))
    paid = np.array([rng.gamma(2.0, s / 2.0, k).sum() for s, k in zip(severity, claims)])
    numbers = np.stack([np.log1p(age), np.log(tonnage), crew], 1)
    expected = frequency * months / 12 * severity
    return numbers, river, months / 12, paid, expected


def tweedie(log_mean, y, power=1.5):
    """Deviance of the compound Poisson-gamma law, without what depends on y alone."""
    a = y * torch.exp((1 - power) * log_mean) / (1 - power)
    b = torch.exp((2 - power) * log_mean) / (2 - power)
    return b - a


class Tariff(nn.Module):
    def __init__(self, start):
        super().__init__()
        self.river = nn.Embedding(4, 3)
        self.body = nn.Sequential(nn.Linear(6, 24), nn.ELU(), nn.Linear(24, 24), nn.ELU())
        self.out = nn.Linear(24, 1)
        nn.init.zeros_(self.out.weight)
        nn.init.constant_(self.out.bias, start)

    def forward(self, numbers, river, exposure):
        h = self.body(torch.cat([numbers, self.river(river)], 1))
        return self.out(h).squeeze(1) + exposure.log()


def gini(order_by, paid):
    """Share of losses that the riskiest barges bring beyond their share of the fleet."""
    paid = paid[np.argsort(-order_by)]
    return 2 * np.mean(np.cumsum(paid) / paid.sum()) - 1


def fit(epochs=12, batch=250, seed=44):
    torch.manual_seed(seed)
    numbers, river, exposure, paid, _ = portfolio(8000, seed)
    mean, std = numbers.mean(0), numbers.std(0)

    def tensors(numbers, river, exposure):
        return (
            torch.tensor((numbers - mean) / std, dtype=torch.float32),
            torch.tensor(river),
            torch.tensor(exposure, dtype=torch.float32),
        )

    x, y = tensors(numbers, river, exposure), torch.tensor(paid, dtype=torch.float32)
    model = Tariff(float(np.log(paid.sum() / exposure.sum())))
    opt = torch.optim.AdamW(model.parameters(), lr=2e-3, weight_decay=1e-2)
    sched = torch.optim.lr_scheduler.CosineAnnealingLR(opt, epochs)
    n2, r2, e2, paid2, expected2 = portfolio(4000, seed + 500)
    x2, y2 = tensors(n2, r2, e2), torch.tensor(paid2, dtype=torch.float32)
    for epoch in range(1, epochs + 1):
        losses = []
        for rows in torch.randperm(len(y)).split(batch):
            loss = tweedie(model(*(t[rows] for t in x)), y[rows]).mean()
            opt.zero_grad()
            loss.backward()
            opt.step()
            losses.append(loss.item())
        sched.step()
        if epoch % 3 == 0:
            with torch.no_grad():
                log_mean = model(*x2)
            premium = log_mean.exp().numpy()
            print(
                f"epoch {epoch} deviance {np.mean(losses):.3f} next year {tweedie(log_mean, y2).mean():.3f} "
                f"premiums/losses {premium.sum() / paid2.sum():.2f} gini {gini(premium, paid2):.3f}"
            )
    print(f"gini of the true risk {gini(expected2, paid2):.3f}, of the time insured {gini(e2, paid2):.3f}")
    print(f"correlation of log premium and log risk {np.corrcoef(np.log(premium), np.log(expected2))[0, 1]:.3f}")


fit()
