import math

import torch
from torch import nn
from torch.distributions import Normal


class Modulator(nn.Module):
    """Maps each of M symbols to a point in the plane of unit mean power."""

    def __init__(self, M, hidden=32):
        super().__init__()
        self.M = M
        self.net = nn.Sequential(nn.Linear(M, hidden), nn.ELU(), nn.Linear(hidden, 2))

    def constellation(self):
        pts = self.net(torch.eye(self.M))
        return pts / pts.pow(2).sum(1).mean().sqrt()

    def forward(self, symbols):
        return self.constellation()[symbols]


class Channel(nn.Module):
    """Additive white Gaussian noise at a given SNR."""

    def __init__(self, snr_db):
        super().__init__()
        self.sigma = math.sqrt(0.5 * 10 ** (-snr_db / 10))

    def forward(self, x):
        return Normal(x, self.sigma).rsample()


class Link(nn.Module):
    def __init__(self, M=8, snr_db=12.0):
        super().__init__()
        self.tx = Modulator(M)
        self.air = Channel(snr_db)
        self.rx = nn.Sequential(nn.Linear(2, 64), nn.ReLU(), nn.Linear(64, 64), nn.ReLU(), nn.Linear(64, M))

    def forward(self, symbols):
        return self.rx(self.air(self.tx(symbols)))


def symbol_error_rate(link, n=20_000):
    with torch.no_grad():
        sent = torch.randint(0, link.tx.M, (n,))
        return (link(sent).argmax(1) != sent).float().mean().item()


def main(steps=900, batch=256):
    torch.manual_seed(17)
    link = Link()
    opt = torch.optim.Adam(link.parameters(), lr=3e-3)
    criterion = nn.CrossEntropyLoss()
    for step in range(steps):
        sent = torch.randint(0, link.tx.M, (batch,))
        loss = criterion(link(sent), sent)
        opt.zero_grad()
        loss.backward()
        opt.step()
        if step % 100 == 99:
            print(f"step {step + 1} ce {loss.item():.4f} SER {symbol_error_rate(link):.4f}")


if __name__ == "__main__":
    main()
