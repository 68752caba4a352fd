"""Load of a control room per quarter of an hour; trained in two sittings, as the machine is switched off at night."""
import io
import math

import torch
from torch import nn

BACK, AHEAD = 48, 8


def load_curve(days, gen):
    t = torch.arange(days * 96) / 96
    slow = torch.cumsum(0.03 * torch.randn(len(t), generator=gen), 0)
    slow = slow - torch.nn.functional.avg_pool1d(slow[None, None], 193, 1, 96, count_include_pad=False)[0, 0]
    daily = torch.sin(2 * math.pi * t) + 0.5 * torch.sin(4 * math.pi * t + 0.7) + 0.3 * torch.sin(10 * math.pi * t)
    weekend = 1 - 0.35 * ((t.long() % 7) >= 5).float()
    return daily * weekend + slow + 0.05 * torch.randn(len(t), generator=gen)


def cut(curve):
    w = curve.unfold(0, BACK + AHEAD, 3)
    return w[:, :BACK, None], w[:, BACK:]


class Forecaster(nn.Module):
    def __init__(self, hidden=32):
        super().__init__()
        self.gru = nn.GRU(1, hidden, batch_first=True)
        self.head = nn.Linear(hidden, AHEAD)

    def forward(self, x):
        _, h = self.gru(x)
        return x[:, -1] + self.head(h[0])


def save(model, optimizer, epoch):
    box = io.BytesIO()
    torch.save({"model": model.state_dict(), "optimizer": optimizer.state_dict(), "epoch": epoch}, box)
    return box.getvalue()


def sitting(data, until, blob=None):
    """Train up to an epoch, from the beginning or from what an earlier sitting saved."""
    (x, y), (xv, yv) = data
    start = 0
    model = Forecaster()
    optimizer = torch.optim.Adam(model.parameters(), lr=4e-3)
    if blob is not None:
        saved = torch.load(io.BytesIO(blob))
        model.load_state_dict(saved["model"])
        optimizer.load_state_dict(saved["optimizer"])
        start = saved["epoch"]
    for epoch in range(start + 1, until + 1):
        model.train()
        for rows in torch.randperm(len(x)).split(32):
            optimizer.zero_grad()
            loss = nn.functional.mse_loss(model(x[rows]), y[rows])
            loss.backward()
            nn.utils.clip_grad_norm_(model.parameters(), 1.0)
            optimizer.step()
        model.eval()
        with torch.no_grad():
            rmse = (model(xv) - yv).square().mean().sqrt().item()
        print(f"epoch {epoch} last batch {loss.item():.4f} validation rmse {rmse:.4f}")
    return save(model, optimizer, until)


def main():
    torch.manual_seed(40)
    gen = torch.Generator().manual_seed(41)
    curve = load_curve(50, gen)
    split = 38 * 96
    centre, spread = curve[:split].mean(), curve[:split].std()
    curve = (curve - centre) / spread
    data = cut(curve[:split]), cut(curve[split:])
    evening = sitting(data, 2)
    sitting(data, 10, evening)


main()
