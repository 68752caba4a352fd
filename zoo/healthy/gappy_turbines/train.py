import logging
import sys

import numpy as np
import torch
from torch import nn
from torch.utils.data import DataLoader, Dataset, WeightedRandomSampler

logging.basicConfig(stream=sys.stdout, format="%(message)s", level=logging.INFO)
log = logging.getLogger("turbines")
STEPS, SENSORS = 48, 4


def records(n, rng, rate=0.08):
    """Hourly readings of four sensors with gaps; in a few records the bearing slowly runs hot."""
    t = np.arange(STEPS)
    x = 0.5 * rng.normal(size=(n, STEPS, SENSORS)).cumsum(1) / np.sqrt(t + 1)[:, None]
    x += 0.4 * np.sin(2 * np.pi * (t[None, :, None] / 24 + rng.uniform(size=(n, 1, SENSORS))))
    fault = rng.uniform(size=n) < rate
    onset = rng.integers(8, 28, n)
    drift = np.clip(t - onset[:, None], 0, None) / 20.0
    x[:, :, 0] += fault[:, None] * drift
    x[:, :, 2] -= 0.7 * fault[:, None] * drift
    x[rng.uniform(size=x.shape) < 0.25] = np.nan
    for i in rng.choice(n, n // 3, replace=False):  # a sensor is silent for hours
        start = rng.integers(0, STEPS - 10)
        x[i, start : start + 10, rng.integers(SENSORS)] = np.nan
    return x.astype(np.float32), fault.astype(np.float32)


class Records(Dataset):
    def __init__(self, x, fault):
        self.x, self.fault = torch.from_numpy(x), torch.from_numpy(fault)

    def __len__(self):
        return len(self.x)

    def __getitem__(self, i):
        return {"x": self.x[i], "fault": self.fault[i]}


class GapGRU(nn.Module):
    """Gaps are zero with a flag beside them; a learned decay carries the last reading over."""

    def __init__(self, hidden=32):
        super().__init__()
        self.gru = nn.GRU(3 * SENSORS, hidden, batch_first=True)
        self.head = nn.Linear(hidden, 1)
        self.fade = nn.Parameter(torch.zeros(SENSORS))

    def forward(self, x):
        known = ~x.isnan()
        x = x.nan_to_num()
        last, carried = torch.zeros_like(x[:, 0]), []
        keep = torch.sigmoid(self.fade + 2)
        for now, there in zip(x.unbind(1), known.unbind(1)):
            last = torch.where(there, now, keep * last)
            carried.append(last)
        h, _ = self.gru(torch.cat([x, known.float(), torch.stack(carried, 1)], -1))
        return self.head(h[:, -1]).squeeze(-1)


def average_precision(score, truth):
    ranked = truth[score.argsort(descending=True)]
    precision = ranked.cumsum(0) / torch.arange(1, len(ranked) + 1)
    return ((precision * ranked).sum() / ranked.sum()).item()


def main():
    np.random.seed(47)
    torch.manual_seed(47)
    rng = np.random.default_rng(np.random.randint(1 << 31))
    train, test = Records(*records(1500, rng)), Records(*records(800, rng))
    share = train.fault.mean()
    weight = torch.where(train.fault.bool(), 0.4 / share, 0.6 / (1 - share))
    loader = DataLoader(train, batch_size=50, sampler=WeightedRandomSampler(weight, len(train)))
    net = GapGRU()
    norms = {}
    net.gru.register_forward_hook(lambda m, i, o: norms.update(state=o[1].detach().norm(dim=-1).mean().item()))
    opt = torch.optim.Adam(net.parameters(), lr=4e-3)
    prior = torch.logit(share) - torch.logit(torch.tensor(0.4))  # of the sampler, taken back in the test
    for epoch in range(1, 9):
        net.train()
        losses = []
        for batch in loader:
            loss = nn.functional.binary_cross_entropy_with_logits(net(batch["x"]), batch["fault"])
            opt.zero_grad()
            loss.backward()
            nn.utils.clip_grad_norm_(net.parameters(), 1.0)
            opt.step()
            losses.append(loss.item())
        net.eval()
        with torch.no_grad():
            logit = net(test.x) + prior
        brier = (logit.sigmoid() - test.fault).square().mean()
        log.info(
            f"epoch {epoch} loss {np.mean(losses):.3f} state {norms['state']:.2f} brier {brier:.4f} "
            f"average precision {average_precision(logit, test.fault):.3f}"
        )


if __name__ == "__main__":
    main()
