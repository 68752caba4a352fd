"""Near-infrared spectra of fruit: which variety is it, and how sweet?"""
import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torch.utils.data import DataLoader, Dataset

VARIETIES = 4
BANDS = 60


class Spectra(Dataset):
    def __init__(self, n: int, rng: np.random.Generator):
        wave = np.linspace(0, 1, BANDS)
        bump = lambda at, width: np.exp(-0.5 * ((wave - at) / width) ** 2)
        kind = rng.integers(VARIETIES, size=n)
        brix = rng.normal(11 + 0.8 * kind, 1.6)
        water = rng.normal(1.0, 0.1, n)
        x = water[:, None] * bump(0.7, 0.12) + 0.06 * brix[:, None] * bump(0.35, 0.08)
        x = x + 0.05 * (brix * water)[:, None] * bump(0.9, 0.05)
        x = x + 0.25 * np.stack([bump(0.1 + 0.17 * k, 0.04) for k in range(VARIETIES)])[kind]
        x = x * rng.normal(1.0, 0.03, (n, 1)) + 0.06 * rng.standard_normal((n, BANDS))
        self.x = torch.tensor((x - 0.35) / 0.3, dtype=torch.float32)
        self.kind = torch.tensor(kind)
        self.brix = torch.tensor(brix, dtype=torch.float32)

    def __len__(self) -> int:
        return len(self.x)

    def __getitem__(self, i: int) -> tuple[Tensor, Tensor, Tensor]:
        return self.x[i], self.kind[i], self.brix[i]


class FruitModel(nn.Module):
    """Shared trunk, two heads; sweetness is learned in units of its standard deviation."""

    def __init__(self, brix_mean: float, brix_std: float):
        super().__init__()
        self.brix_mean, self.brix_std = brix_mean, brix_std
        self.trunk = nn.Sequential(nn.Linear(BANDS, 64), nn.LayerNorm(64), nn.GELU(), nn.Linear(64, 48), nn.GELU())
        self.variety = nn.Linear(48, VARIETIES)
        self.sweetness = nn.Linear(48, 1)

    def forward(self, x: Tensor) -> tuple[Tensor, Tensor]:
        h = self.trunk(x)
        return self.variety(h), self.sweetness(h)[:, 0]

    def training_step(self, batch) -> Tensor:
        x, kind, brix = batch
        scores, sweet = self(x)
        wanted = (brix - self.brix_mean) / self.brix_std
        return F.cross_entropy(scores, kind) + 0.5 * F.mse_loss(sweet, wanted)

    def validation_step(self, batch) -> dict[str, Tensor]:
        x, kind, brix = batch
        scores, sweet = self(x)
        sweet = sweet * self.brix_std + self.brix_mean
        return {"acc": (scores.argmax(1) == kind).float(), "mae": (sweet - brix).abs()}

    def configure_optimizers(self):
        return torch.optim.AdamW(self.parameters(), lr=2e-3, weight_decay=1e-3)


class Fit:
    def __init__(self, epochs: int):
        self.epochs = epochs

    def __call__(self, model: FruitModel, train: DataLoader, valid: DataLoader) -> None:
        optimizer = model.configure_optimizers()
        for epoch in range(self.epochs):
            model.train()
            for batch in train:
                loss = model.training_step(batch)
                optimizer.zero_grad()
                loss.backward()
                optimizer.step()
            if epoch % 2 == 1:
                report = self.validate(model, valid)
                print(f"epoch {epoch + 1} " + " ".join(f"val_{k} {v:.4f}" for k, v in report.items()))

    @torch.no_grad()
    def validate(self, model: FruitModel, valid: DataLoader) -> dict[str, float]:
        model.eval()
        parts = [model.validation_step(batch) for batch in valid]
        return {k: torch.cat([p[k] for p in parts]).mean().item() for k in parts[0]}


def main() -> None:
    torch.manual_seed(12)
    rng = np.random.default_rng(12)
    train, valid = Spectra(1500, rng), Spectra(500, rng)
    model = FruitModel(train.brix.mean().item(), train.brix.std().item())
    Fit(epochs=16)(model, DataLoader(train, batch_size=50, shuffle=True), DataLoader(valid, batch_size=125))


if __name__ == "__main__":
    main()
