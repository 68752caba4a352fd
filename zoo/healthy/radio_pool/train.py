"""Equalise a distorting radio channel: a fixed random recurrent pool, and a linear readout that names the symbol sent."""
import torch
from torch import Tensor, nn

LEVELS = torch.tensor([-3.0, -1.0, 1.0, 3.0])
TAPS = torch.tensor([0.08, -0.12, 1.0, 0.18, -0.1, 0.091, -0.05, 0.04, 0.03, 0.01])
DELAY = 2


def transmit(n: int, length: int) -> tuple[Tensor, Tensor]:
    """What arrives after inter-symbol interference, a nonlinear amplifier and noise; the symbols as they were sent."""
    sent = torch.randint(4, (n, length + len(TAPS)))
    mixed = nn.functional.conv1d(LEVELS[sent].unsqueeze(1), TAPS.flip(0).view(1, 1, -1)).squeeze(1)[:, 1:]
    heard = mixed + 0.036 * mixed**2 - 0.011 * mixed**3 + 0.1 * torch.randn(n, length)
    return heard, sent[:, len(TAPS) - DELAY : len(TAPS) - DELAY + length]


class Pool(nn.Module):
    """Recurrence that is never trained, scaled to a spectral radius below one so that old inputs fade."""

    def __init__(self, size: int = 160, radius: float = 0.8, density: float = 0.1):
        super().__init__()
        w = torch.randn(size, size) * (torch.rand(size, size) < density)
        w = w * (radius / torch.linalg.eigvals(w).abs().max())
        self.register_buffer("w", w)
        self.register_buffer("w_in", 0.3 * (2 * torch.rand(size) - 1))
        self.register_buffer("bias", 0.3 * (2 * torch.rand(size) - 1))

    @torch.no_grad()
    def forward(self, heard: Tensor) -> Tensor:
        h = torch.zeros(len(heard), len(self.bias))
        states = []
        for u in heard.unbind(1):
            h = torch.tanh(h @ self.w.T + u[:, None] * self.w_in + self.bias)
            states.append(h)
        return torch.stack(states, dim=1)


class Equaliser(nn.Module):
    def __init__(self, washout: int = 16):
        super().__init__()
        self.washout = washout
        self.pool = Pool()
        self.norm = nn.BatchNorm1d(160, affine=False)
        self.readout = nn.Linear(160, 4)

    def forward(self, heard: Tensor) -> Tensor:
        states = self.pool(heard)[:, self.washout :]
        return self.readout(self.norm(states.flatten(0, 1)))

    def targets(self, sent: Tensor) -> Tensor:
        return sent[:, self.washout :].flatten()


def symbol_errors(model: Equaliser, heard: Tensor, sent: Tensor) -> float:
    model.eval()
    with torch.no_grad():
        wrong = model(heard).argmax(1) != model.targets(sent)
    model.train()
    return wrong.float().mean().item()


def main() -> None:
    torch.manual_seed(26)
    model = Equaliser()
    optimizer = torch.optim.Adam(model.readout.parameters(), lr=0.02)
    schedule = torch.optim.lr_scheduler.CosineAnnealingLR(optimizer, T_max=300)
    test = transmit(100, 80)
    for step in range(1, 301):
        heard, sent = transmit(24, 64)
        loss = nn.functional.cross_entropy(model(heard), model.targets(sent))
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        schedule.step()
        if step % 50 == 0:
            print(f"step {step} loss {loss.item():.4f} symbol error rate {symbol_errors(model, *test):.4f}")


if __name__ == "__main__":
    main()
