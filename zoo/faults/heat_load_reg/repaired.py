from dataclasses import dataclass, field

import torch
from sklearn.datasets import make_friedman1
from torch import nn
from torch.utils.data import DataLoader, TensorDataset


@dataclass
class Config:
    seed: int = 11
    rows: int = 1600
    batch_size: int = 64
    epochs: int = 32
    widths: tuple[int, ...] = (96, 96)
    lr: float = 2e-3
    adam: dict = field(default_factory=lambda: {"betas": (0.9, 0.999), "eps": 1e-8, "weight_decay": 1e-3})


class Regressor(nn.Module):
    def __init__(self, cfg: Config, n_in: int):
        super().__init__()
        self.cfg = cfg
        sizes = (n_in, *cfg.widths)
        self.body = nn.Sequential(*(m for a, b in zip(sizes, sizes[1:]) for m in (nn.Linear(a, b), nn.SiLU())))
        self.out = nn.Linear(sizes[-1], 1)
        self.squares: list[float] = []

    def forward(self, x):
        return self.out(self.body(x)).squeeze(1)

    # what the runner calls
    def configure_optimizers(self):
        opt = torch.optim.AdamW(self.parameters(), lr=self.cfg.lr, **self.cfg.adam)
        return opt, torch.optim.lr_scheduler.CosineAnnealingLR(opt, T_max=self.cfg.epochs, eta_min=1e-5)

    def training_step(self, batch, index):
        x, y = batch
        return nn.functional.mse_loss(self(x), y)

    def validation_step(self, batch, index):
        x, y = batch
        self.squares += (self(x) - y).square().tolist()

    def on_validation_epoch_end(self, epoch, loss):
        rest = sum(self.squares) / len(self.squares)
        self.squares.clear()
        print(f"epoch {epoch:2d} loss {loss:.4f} unexplained {rest:.4f}")


class Runner:
    def __init__(self, epochs: int):
        self.epochs = epochs

    def fit(self, module, train_loader, val_loader):
        opt, schedule = module.configure_optimizers()
        for epoch in range(1, self.epochs + 1):
            module.train()
            seen = 0.0
            for i, batch in enumerate(train_loader):
                opt.zero_grad()
                loss = module.training_step(batch, i)
                loss.backward()
                opt.step()
                seen += loss.item()
            schedule.step()
            if epoch % 4:
                continue
            module.eval()
            with torch.no_grad():
                for i, batch in enumerate(val_loader):
                    module.validation_step(batch, i)
            module.on_validation_epoch_end(epoch, seen / len(train_loader))


def loaders(cfg: Config):
    x, y = make_friedman1(cfg.rows, n_features=10, noise=0.5, random_state=3)
    x, y = torch.tensor(x, dtype=torch.float32), torch.tensor(y, dtype=torch.float32)
    cut = int(0.75 * len(x))
    x = (x - x[:cut].mean(0)) / x[:cut].std(0)
    y = (y - y[:cut].mean()) / y[:cut].std()
    train, val = TensorDataset(x[:cut], y[:cut]), TensorDataset(x[cut:], y[cut:])
    return DataLoader(train, cfg.batch_size, shuffle=True, drop_last=True), DataLoader(val, 200)


if __name__ == "__main__":
    cfg = Config()
    torch.manual_seed(cfg.seed)
    train_loader, val_loader = loaders(cfg)
    Runner(cfg.epochs).fit(Regressor(cfg, 10), train_loader, val_loader)
