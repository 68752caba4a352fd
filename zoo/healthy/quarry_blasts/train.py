"""Tell quarry blasts from earthquakes. Blasts are one event in thirty, so batches are drawn half and half."""
import argparse
import math

import torch
import torch.nn.functional as F
from sklearn.metrics import average_precision_score, log_loss
from torch import nn
from torch.utils.data import DataLoader, Dataset, WeightedRandomSampler


class Events(Dataset):
    """Twelve spectral ratios and onsets per event; blasts have weak shear waves and come in the working day."""

    def __init__(self, n: int, share: float, seed: int):
        g = torch.Generator().manual_seed(seed)
        self.blast = (torch.rand(n, generator=g) < share).long()
        b = self.blast.float()
        size = torch.randn(n, generator=g)
        ratios = torch.randn(n, 8, generator=g) + 0.6 * size[:, None]
        ratios[:, :4] -= (0.9 + 0.3 * size[:, None]) * b[:, None]
        ratios[:, 4] += 1.1 * b * torch.randn(n, generator=g)
        at_day = 12 + 2.5 * torch.randn(n, generator=g)
        hour = torch.where(self.blast == 1, at_day, 24 * torch.rand(n, generator=g))
        angle = hour * (2 * math.pi / 24)
        depth = torch.where(self.blast == 1, torch.rand(n, generator=g), torch.rand(n, generator=g) * 3)
        self.features = torch.cat([ratios, torch.stack([size, angle.sin(), angle.cos(), depth - 1], 1)], 1)

    def __len__(self):
        return len(self.blast)

    def __getitem__(self, i):
        return self.features[i], self.blast[i]


def build(width: int, dropout: float) -> nn.Module:
    return nn.Sequential(
        nn.Linear(12, width), nn.ReLU(), nn.Dropout(dropout),
        nn.Linear(width, width), nn.ReLU(), nn.Dropout(dropout),
        nn.Linear(width, 2),
    )  # fmt: skip


@torch.no_grad()
def test(net: nn.Module, events: Events, log_prior: torch.Tensor):
    net.eval()
    raw = net(events.features)
    out = {}
    for name, logits in (("as trained", raw), ("with the prior", raw + log_prior)):
        out[name] = log_loss(events.blast.numpy(), F.softmax(logits, -1)[:, 1].double().numpy())
    return average_precision_score(events.blast.numpy(), (raw[:, 1] - raw[:, 0]).numpy()), out


def main(argv=None):
    cli = argparse.ArgumentParser()
    cli.add_argument("--epochs", type=int, default=8)
    cli.add_argument("--lr", type=float, default=2e-3)
    cli.add_argument("--weight-decay", type=float, default=0.02)
    cli.add_argument("--seed", type=int, default=12)
    args = cli.parse_args(argv)
    torch.manual_seed(args.seed)

    train, held_out = Events(6000, 1 / 30, seed=args.seed), Events(3000, 1 / 30, seed=args.seed + 1000)
    counts = torch.bincount(train.blast, minlength=2)
    sampler = WeightedRandomSampler((1 / counts.double())[train.blast], num_samples=len(train), replacement=True)
    loader = DataLoader(train, batch_size=100, sampler=sampler)
    log_prior = (counts / counts.sum()).log()

    net = build(48, 0.3)
    optimizer = torch.optim.AdamW(net.parameters(), lr=args.lr, weight_decay=args.weight_decay)
    schedule = torch.optim.lr_scheduler.CosineAnnealingLR(optimizer, args.epochs * len(loader))
    for epoch in range(args.epochs):
        net.train()
        mean = 0.0
        for features, blast in loader:
            loss = F.cross_entropy(net(features), blast)
            optimizer.zero_grad(set_to_none=True)
            loss.backward()
            optimizer.step()
            schedule.step()
            mean += loss.item() / len(loader)
        ap, losses = test(net, held_out, log_prior)
        shown = ", ".join(f"{k} {v:.3f}" for k, v in losses.items())
        print(f"epoch {epoch + 1} loss {mean:.3f} | held out: {shown} | average precision {ap:.3f}")


if __name__ == "__main__":
    main()
