"""When does the ground shake next, and how hard? A recurrent point process with a closed-form integral."""
import math
import random

import torch
from torch import Tensor, nn
from torch.nn.utils.rnn import pack_padded_sequence, pad_packed_sequence, pad_sequence


def catalogue(count: int, rng: random.Random) -> Tensor:
    """The first events (gap, strong) of a station by thinning: background and swarms; strong ones set off more."""
    t, events = 0.0, []

    def rate(now):
        return 0.25 + sum((2.2 if strong else 0.35) * math.exp(-1.6 * (now - when)) for when, strong in events[-30:])

    while len(events) < count:
        top = rate(t)
        t += rng.expovariate(top)
        if rng.random() < rate(t) / top:
            events.append((t, float(rng.random() < 0.3)))
    return torch.tensor([[a[0] - b[0], a[1]] for a, b in zip(events, [(0.0, 0), *events])])


class Shaking(nn.Module):
    """After each event the rate is exp(a + w s), s hours later, plus a floor; both integrals are known."""

    def __init__(self, hidden: int = 24):
        super().__init__()
        self.read = nn.GRU(2, hidden, batch_first=True)
        self.law = nn.Linear(hidden, 3)
        self.first = nn.Parameter(torch.zeros(1, hidden))
        self.strong = nn.Linear(hidden, 1)

    def forward(self, events: Tensor, lengths: Tensor) -> Tensor:
        seen = torch.stack([torch.log(events[..., 0] + 0.01), events[..., 1]], -1)
        packed = pack_padded_sequence(seen, lengths, batch_first=True, enforce_sorted=False)
        h, _ = pad_packed_sequence(self.read(packed)[0], batch_first=True, total_length=events.shape[1])
        before = torch.cat([self.first.expand(len(h), 1, -1), h[:, :-1]], 1)
        a, w, floor = self.law(before).unbind(-1)
        decay, floor = nn.functional.softplus(w) + 1e-3, nn.functional.softplus(floor)
        gap = events[..., 0]
        log_rate = torch.log(torch.exp(a - decay * gap) + floor)
        expected = torch.exp(a) * -torch.expm1(-decay * gap) / decay + floor * gap
        mark = self.strong(before).squeeze(-1)
        log_mark = events[..., 1] * nn.functional.logsigmoid(mark) + (1 - events[..., 1]) * nn.functional.logsigmoid(-mark)
        mask = torch.arange(events.shape[1]) < lengths[:, None]
        return ((log_rate - expected + log_mark) * mask).sum() / mask.sum()


def collate(stations: list[Tensor]) -> tuple[Tensor, Tensor]:
    return pad_sequence(stations, batch_first=True), torch.tensor([len(s) for s in stations])


def poisson(train: list[Tensor], test: list[Tensor]) -> float:
    """Log-likelihood per event of a constant rate."""
    gaps, strong = torch.cat(train).T
    rate, p = 1 / gaps.mean(), strong.mean()
    gaps, strong = torch.cat(test).T
    return (rate.log() - rate * gaps + strong * p.log() + (1 - strong) * (1 - p).log()).mean().item()


def main() -> None:
    rng = random.Random(9)
    torch.manual_seed(9)
    stations = [catalogue(rng.randint(6, 40), rng) for _ in range(400)]
    train, test = stations[:300], stations[300:]
    net = Shaking()
    opt = torch.optim.Adam(net.parameters(), lr=6e-3)
    for epoch in range(1, 13):
        net.train()
        rng.shuffle(train)
        for k in range(0, len(train), 20):
            loss = -net(*collate(train[k : k + 20]))
            opt.zero_grad(set_to_none=True)
            loss.backward()
            nn.utils.clip_grad_norm_(net.parameters(), 5.0)
            opt.step()
        if epoch % 3 == 0:
            net.eval()
            with torch.no_grad():
                gain = net(*collate(test)).item()
            print(f"epoch {epoch:2d}: loss {loss.item():.3f}, log-likelihood per event {gain:.3f} (constant rate {poisson(train, test):.3f})")
    print(f"information gain {gain - poisson(train, test):.3f} nats per event")


main()
