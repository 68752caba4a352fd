"""Bearing of a whale from a slightly misplaced hydrophone array: a complex-valued network in double precision,
fitted by full-batch L-BFGS with a strong Wolfe line search."""
import math

import torch
from torch import nn

torch.set_default_dtype(torch.float64)
SENSORS, SNAPSHOTS, BEAMS = 8, 12, 20


def make_sea(g):
    """Half-wavelength spacing, but nobody measured the mooring errors or the phase of each amplifier."""
    place = torch.arange(SENSORS) * 0.5 + 0.06 * torch.randn(SENSORS, generator=g)
    phase = 0.5 * torch.randn(SENSORS, generator=g)

    def listen(n):
        bearing = (torch.rand(n, generator=g) * 2 - 1) * math.radians(60)
        steer = torch.polar(torch.ones(n, SENSORS), 2 * math.pi * place * torch.sin(bearing)[:, None] + phase)
        noise = lambda *shape: torch.complex(torch.randn(*shape, generator=g), torch.randn(*shape, generator=g)) / math.sqrt(2)
        source = noise(n, SNAPSHOTS, 1) * (1 + torch.rand(n, 1, 1, generator=g))
        heard = source * steer[:, None, :] + 0.5 * noise(n, SNAPSHOTS, SENSORS)
        heard = heard / heard.abs().square().mean((1, 2), keepdim=True).sqrt()        # unit power per recording
        return heard, torch.sin(bearing)[:, None]

    return listen


class Beamformer(nn.Module):
    """Complex beams -> power per beam, averaged over snapshots -> a small real network."""

    def __init__(self):
        super().__init__()
        scale = 1 / math.sqrt(2 * SENSORS)
        self.beams = nn.Parameter(torch.complex(torch.randn(SENSORS, BEAMS), torch.randn(SENSORS, BEAMS)) * scale)
        self.read = nn.Sequential(nn.Linear(BEAMS, 24), nn.Tanh(), nn.Linear(24, 1))

    def forward(self, heard):
        power = (heard @ self.beams).abs().square().mean(1)
        return self.read(torch.log(power + 1e-2))


def degrees(model, heard, target):
    with torch.no_grad():
        guess = torch.asin(model(heard).clamp(-1, 1))
    return torch.rad2deg((guess - torch.asin(target)).square().mean().sqrt()).item()


def fit(model, train, val, rounds=10, ridge=1e-5):
    heard, target = train
    optimizer = torch.optim.LBFGS(model.parameters(), lr=1.0, max_iter=20, history_size=30, line_search_fn="strong_wolfe")
    best, best_state, stale = math.inf, None, 0

    def closure():
        optimizer.zero_grad()
        error = (model(heard) - target).square().mean()
        penalty = ridge * sum(p.abs().square().sum() for p in model.parameters())
        loss = error + penalty
        loss.backward()
        return loss

    for r in range(1, rounds + 1):
        loss = optimizer.step(closure)          # value at the start of the round
        now = degrees(model, *val)
        print(f"round {r:2d}  loss {loss.item():.6f}  train {degrees(model, *train):.2f} deg  val {now:.2f} deg")
        if now < best - 1e-3:
            best, best_state, stale = now, {k: v.clone() for k, v in model.state_dict().items()}, 0
        else:
            stale += 1
            if stale == 3:
                break
    model.load_state_dict(best_state)


def main():
    torch.manual_seed(17)
    listen = make_sea(torch.Generator().manual_seed(17))
    train, val, test = listen(1800), listen(500), listen(1500)
    model = Beamformer()
    fit(model, train, val)
    blind = torch.rad2deg(torch.asin(test[1]).std()).item()
    print(f"bearing error on unheard recordings {degrees(model, *test):.2f} degrees (always ahead: {blind:.1f})")


if __name__ == "__main__":
    main()
