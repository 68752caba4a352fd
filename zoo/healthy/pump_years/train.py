"""How long does a pump last? Most are still running when the study ends: Cox's partial likelihood with a network."""
import argparse

import torch
import torch.nn.functional as F
from torch import nn


def fleet(n, gen):
    """Covariates, years until failure or end of observation, and whether it failed; the true risk for comparison."""
    x = torch.randn(n, 6, generator=gen)
    risk = 0.9 * x[:, 0] - 0.7 * x[:, 1] + 0.8 * torch.tanh(x[:, 2] * x[:, 3]) + 0.5 * (x[:, 4] > 0.5)
    exponential = -torch.log(1 - torch.rand(n, generator=gen))
    life = 12 * (exponential * torch.exp(-risk)) ** (1 / 1.5)  # Weibull
    watched = 3 + 9 * torch.rand(n, generator=gen)
    return x, torch.minimum(life, watched), life <= watched, risk


def cox(risk, years, failed):
    """Negative log partial likelihood per failure; at risk are all that lasted at least as long."""
    order = years.argsort(descending=True)
    risk, failed = risk[order], failed[order]
    at_risk = torch.logcumsumexp(risk, dim=0)
    return -(risk - at_risk)[failed].sum() / failed.sum()


def concordance(risk, years, failed):
    """Of all pairs whose order is known: how often has the one that failed first the higher risk?"""
    known = failed[:, None] & (years[:, None] < years[None])
    higher = (risk[:, None] > risk[None]).float() + 0.5 * (risk[:, None] == risk[None]).float()
    return (higher * known).sum() / known.sum()


parser = argparse.ArgumentParser()
parser.add_argument("--epochs", type=int, default=12)
parser.add_argument("--batch", type=int, default=128)
parser.add_argument("--lr", type=float, default=5e-3)
parser.add_argument("--seed", type=int, default=23)
args = parser.parse_args()

torch.manual_seed(args.seed)
gen = torch.Generator().manual_seed(args.seed)
train = fleet(2048, gen)
test = fleet(800, gen)
print(f"{train[2].float().mean():.0%} of the pumps failed; best possible concordance {concordance(test[3], *test[1:3]):.3f}")

model = nn.ModuleDict({"hidden": nn.Linear(6, 48), "more": nn.Linear(48, 24), "risk": nn.Linear(24, 1, bias=False)})


def predict(x, p=0.0):
    h = F.dropout(F.gelu(model["hidden"](x)), p, training=p > 0)
    return model["risk"](F.gelu(model["more"](h)))[:, 0]


optimizer = torch.optim.AdamW(model.parameters(), lr=args.lr, weight_decay=1e-2)
for epoch in range(args.epochs):
    losses = []
    for rows in torch.randperm(len(train[0])).split(args.batch):
        x, years, failed, _ = (column[rows] for column in train)
        loss = cox(predict(x, p=0.1), years, failed)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        losses.append(loss.detach())
    if epoch % 3 == 2:
        with torch.no_grad():
            c = concordance(predict(test[0]), test[1], test[2])
        print(f"epoch {epoch + 1} loss {torch.stack(losses).mean():.4f} test concordance {c:.4f}")
