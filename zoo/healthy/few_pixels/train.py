"""Choose ten of 64 pixels that suffice to read a digit: selectors with Gumbel noise that cools down."""
import torch
import torch.nn.functional as F
from sklearn.datasets import load_digits
from sklearn.model_selection import train_test_split
from torch import nn


class Selector(nn.Module):
    """k choices among n inputs, soft in training, hard afterwards."""

    def __init__(self, n, k):
        super().__init__()
        self.scores = nn.Parameter(0.01 * torch.randn(k, n))
        self.temperature = 5.0

    def forward(self, x):
        if not self.training:
            return x[:, self.scores.argmax(1)]
        return x @ F.gumbel_softmax(self.scores, tau=self.temperature, dim=1).t()


class Reader(nn.Module):
    def __init__(self, k=10):
        super().__init__()
        self.select = Selector(64, k)
        self.read = nn.Sequential(nn.Linear(k, 96), nn.ReLU(), nn.Linear(96, 96), nn.ReLU(), nn.Linear(96, 10))

    def forward(self, x):
        return self.read(self.select(x))


def cooling(start, end, steps):
    """A forward hook that lowers the temperature with every pass in training."""
    factor = (end / start) ** (1 / steps)

    def hook(module, args, output):
        if module.training:
            module.temperature = max(end, module.temperature * factor)

    return hook


def accuracy(model, x, y):
    model.eval()
    with torch.inference_mode():
        right = (model(x).argmax(1) == y).float().mean().item()
    model.train()
    return right


if __name__ == "__main__":
    torch.manual_seed(92)
    x, y = load_digits(return_X_y=True)
    xa, xb, ya, yb = train_test_split(x, y, test_size=0.3, random_state=92, stratify=y)
    xa, xb = (torch.tensor(v / 8 - 1, dtype=torch.float32) for v in (xa, xb))
    ya, yb = torch.tensor(ya), torch.tensor(yb)
    epochs, batch = 60, 64
    model = Reader()
    model.select.register_forward_hook(cooling(5.0, 0.1, epochs * (len(xa) // batch) * 0.8))
    opt = torch.optim.Adam([
        {"params": model.select.parameters(), "lr": 0.03},
        {"params": model.read.parameters(), "lr": 2e-3},
    ])
    for epoch in range(1, epochs + 1):
        for rows in torch.randperm(len(xa)).split(batch):
            loss = F.cross_entropy(model(xa[rows]), ya[rows])
            opt.zero_grad()
            loss.backward()
            opt.step()
        if epoch % 10 == 0:
            chosen = model.select.scores.argmax(1).unique().numel()
            print(
                f"epoch {epoch} loss {loss.item():.3f} temperature {model.select.temperature:.2f} "
                f"different pixels {chosen} test accuracy {accuracy(model, xb, yb):.3f}"
            )
