"""Sum of the two marked numbers of a long row, by a recurrent net of rectifiers."""
import torch
from torch import Tensor, nn

LENGTH, HIDDEN = 40, 64


def rows(n: int, gen: torch.Generator) -> tuple[Tensor, Tensor]:
    value = torch.rand(n, LENGTH, generator=gen)
    mark = torch.zeros(n, LENGTH)
    half = LENGTH // 2
    first = torch.randint(half, (n,), generator=gen)
    second = half + torch.randint(half, (n,), generator=gen)
    mark[torch.arange(n), first] = 1.0
    mark[torch.arange(n), second] = 1.0
    return torch.stack([value, mark], -1), (value * mark).sum(1)


class IRNN(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.rnn = nn.RNN(2, HIDDEN, nonlinearity="relu", batch_first=True)
        self.read = nn.Linear(HIDDEN, 1)
        self.reset_parameters()

    def reset_parameters(self) -> None:
        nn.init.eye_(self.rnn.weight_hh_l0)
        nn.init.normal_(self.rnn.weight_ih_l0, std=0.1)
        nn.init.zeros_(self.rnn.bias_hh_l0)
        nn.init.zeros_(self.rnn.bias_ih_l0)
        nn.init.normal_(self.read.weight, std=0.05)
        nn.init.ones_(self.read.bias)  # the mean of the targets

    def forward(self, x: Tensor) -> Tensor:
        _, last = self.rnn(x)
        return self.read(last[0]).squeeze(-1)


def evaluate(model: nn.Module, x: Tensor, y: Tensor) -> float:
    model.eval()
    with torch.no_grad():
        error = nn.functional.mse_loss(model(x), y).item()
    model.train()
    return error


def train(steps: int = 650, batch: int = 48) -> None:
    gen = torch.Generator().manual_seed(404)
    x_test, y_test = rows(500, gen)
    model = IRNN()
    optimizer = torch.optim.Adam(model.parameters(), lr=1e-3)
    print(f"variance of the targets {y_test.var().item():.4f}")
    for step in range(1, steps + 1):
        x, y = rows(batch, gen)
        loss = nn.functional.mse_loss(model(x), y)
        optimizer.zero_grad()
        loss.backward()
        nn.utils.clip_grad_norm_(model.parameters(), 1.0)
        optimizer.step()
        if step % 65 == 0:
            print(f"step {step} loss {loss.item():.4f} test {evaluate(model, x_test, y_test):.5f}")


if __name__ == "__main__":
    torch.manual_seed(404)
    train()
