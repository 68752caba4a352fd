"""Adapt a trained reader of digits to a foggy scanner by moving its biases only."""
from typing import NamedTuple

import torch
import torch.nn as nn
from sklearn.datasets import load_digits
from torch import Tensor
from torch.utils.data import DataLoader, TensorDataset


class Sets(NamedTuple):
    clean: TensorDataset
    foggy_train: TensorDataset
    foggy_test: TensorDataset


def foggy(images: Tensor, gen: torch.Generator) -> Tensor:
    """Fog lies on the lower half, contrast is lost everywhere, and the sensor is noisy."""
    rows = torch.linspace(0, 1, 8).view(1, 1, 8, 1)
    return 0.5 * images + 0.9 * rows + 0.15 * torch.randn(images.shape, generator=gen)


def prepare(seed: int) -> Sets:
    gen = torch.Generator().manual_seed(seed)
    raw = load_digits()
    x = torch.tensor(raw.images, dtype=torch.float32).unsqueeze(1) / 8 - 1
    y = torch.tensor(raw.target)
    order = torch.randperm(len(x), generator=gen)
    x, y = x[order], y[order]
    return Sets(
        TensorDataset(x[:1000], y[:1000]),
        TensorDataset(foggy(x[1000:1150], gen), y[1000:1150]),
        TensorDataset(foggy(x[1150:], gen), y[1150:]),
    )


class Reader(nn.Module):
    def __init__(self, width: int = 96):
        super().__init__()
        self.patch = nn.Conv2d(1, 32, 4, stride=2, padding=1)
        layer = nn.TransformerEncoderLayer(32, 4, width, dropout=0.0, batch_first=True, norm_first=True)
        self.mix = nn.TransformerEncoder(layer, 2, norm=nn.LayerNorm(32), enable_nested_tensor=False)
        self.place = nn.Parameter(0.02 * torch.randn(16, 32))
        self.fc = nn.Linear(32, 10)

    def forward(self, x: Tensor) -> Tensor:
        h = self.patch(x).flatten(2).transpose(1, 2) + self.place
        return self.fc(self.mix(h).mean(1))


@torch.no_grad()
def share_right(model: nn.Module, data: TensorDataset) -> float:
    model.eval()
    x, y = data.tensors
    return (model(x).argmax(1) == y).float().mean().item()


class Fit:
    """A loop with places to hook into."""

    def __init__(self, model: nn.Module, optimizer: torch.optim.Optimizer, on_epoch_end=None):
        self.model, self.optimizer, self.on_epoch_end = model, optimizer, on_epoch_end

    def __call__(self, loader: DataLoader, epochs: int) -> None:
        for epoch in range(1, epochs + 1):
            self.model.train()
            for x, y in loader:
                loss = nn.functional.cross_entropy(self.model(x), y)
                self.optimizer.zero_grad()
                loss.backward()
                self.optimizer.step()
            if self.on_epoch_end:
                self.on_epoch_end(epoch, loss.item())


if __name__ == "__main__":
    torch.manual_seed(88)
    data = prepare(88)
    model = Reader()
    Fit(model, torch.optim.AdamW(model.parameters(), lr=3e-3))(DataLoader(data.clean, 50, shuffle=True), 9)
    print(f"without adaptation: foggy {share_right(model, data.foggy_test):.3f}")

    for name, p in model.named_parameters():
        p.requires_grad = name.endswith("bias")
    biases = [p for p in model.parameters() if p.requires_grad]
    share = sum(p.numel() for p in biases) / sum(p.numel() for p in model.parameters())
    print(f"{share:.1%} of the parameters are adapted")

    def report(epoch: int, loss: float) -> None:
        if epoch % 8 == 0:
            print(f"epoch {epoch} loss {loss:.3f} foggy {share_right(model, data.foggy_test):.3f}")

    tune = torch.optim.Adam(biases, lr=1e-2)
    Fit(model, tune, on_epoch_end=report)(DataLoader(data.foggy_train, 25, shuffle=True), 40)
