"""A recurrent network that adds up a sequence; long sequences make gradients jump, hence the clipping."""

import torch
from torch import nn
from torch.nn.utils import clip_grad_norm_

LIMIT = 1.0


class Adder(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.cell = nn.RNN(2, 32, nonlinearity="relu", batch_first=True)
        self.read = nn.Linear(32, 1)
        nn.init.eye_(self.cell.weight_hh_l0)
        nn.init.zeros_(self.cell.bias_hh_l0)
        nn.init.normal_(self.cell.weight_ih_l0, std=0.1)

    def forward(self, sequence: torch.Tensor) -> torch.Tensor:
        return self.read(self.cell(sequence)[0][:, -1])[:, 0]


def examples(count: int, length: int = 12) -> tuple[torch.Tensor, torch.Tensor]:
    values = torch.randn(count, length)
    marked = torch.rand(count, length) < 0.25
    return torch.stack([values, marked.float()], -1), (values * marked).sum(1) / 1.7


def fit(model: nn.Module, steps: int) -> None:
    optimizer = torch.optim.SGD(model.parameters(), lr=0.05)
    held_out = examples(500)
    for step in range(1, steps + 1):
        sequence, total = examples(64)
        loss = nn.functional.mse_loss(model(sequence), total)
        optimizer.zero_grad()
        loss.backward()
        norm = clip_grad_norm_(model.parameters(), LIMIT)
        optimizer.step()
        if step % 30 == 0:
            with torch.no_grad():
                error = nn.functional.mse_loss(model(held_out[0]), held_out[1])
            print(f"step {step}: loss {loss.item():.3f} held out {error.item():.3f} gradient {norm.item():.2f}")


if __name__ == "__main__":
    torch.manual_seed(8)
    fit(Adder(), 150)
