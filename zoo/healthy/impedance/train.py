"""Impedance of a circuit (friedman2), in ohms, with an error bar from dropout at prediction time."""
import numpy as np
import torch
import torch.nn as nn
from sklearn.datasets import make_friedman2
from sklearn.model_selection import train_test_split
from torch.utils.data import DataLoader, TensorDataset


class Scaled(nn.Module):
    """Takes raw columns and answers in raw units."""

    def __init__(self, x, y, hidden=96, p=0.05):
        super().__init__()
        self.register_buffer("x_mean", x.mean(0))
        self.register_buffer("x_std", x.std(0))
        self.register_buffer("y_mean", y.mean())
        self.register_buffer("y_std", y.std())
        self.net = nn.Sequential(
            nn.Linear(x.shape[1], hidden), nn.SiLU(), nn.Dropout(p),
            nn.Linear(hidden, hidden), nn.SiLU(), nn.Dropout(p),
            nn.Linear(hidden, 1),
        )

    def forward(self, x):
        z = (x - self.x_mean) / self.x_std
        return self.y_mean + self.y_std * self.net(z).squeeze(1)


def predict_with_spread(model, x, samples=40):
    model.eval()
    for m in model.modules():
        if isinstance(m, nn.Dropout):
            m.train()
    with torch.no_grad():
        draws = torch.stack([model(x) for _ in range(samples)])
    return draws.mean(0), draws.std(0)


def r2(pred, y):
    return 1 - ((pred - y) ** 2).sum().item() / ((y - y.mean()) ** 2).sum().item()


def main(seed=12, epochs=60):
    torch.manual_seed(seed)
    x, y = make_friedman2(1500, noise=20.0, random_state=seed)
    split = train_test_split(x.astype(np.float32), y.astype(np.float32), test_size=0.25, random_state=seed)
    x_train, x_test, y_train, y_test = map(torch.from_numpy, split)
    loader = DataLoader(TensorDataset(x_train, y_train), batch_size=64, shuffle=True)

    model = Scaled(x_train, y_train)
    opt = torch.optim.Adam(model.parameters(), lr=3e-3)
    sched = torch.optim.lr_scheduler.CosineAnnealingLR(opt, epochs)
    for epoch in range(epochs):
        model.train()
        mse = 0.0
        for xb, yb in loader:
            loss = ((model(xb) - yb) ** 2).mean()
            opt.zero_grad()
            loss.backward()
            opt.step()
            mse += loss.item() * len(xb) / len(x_train)
        sched.step()
        if epoch % 12 == 11:
            mean, spread = predict_with_spread(model, x_test)
            print(f"epoch {epoch + 1}: train mse {mse:.0f} ohm^2, test R2 {r2(mean, y_test):.3f}, spread {spread.mean():.1f} ohm")
    inside = ((mean - y_test).abs() < 2 * (spread**2 + 20**2).sqrt()).float().mean()
    print(f"within two deviations {inside:.2f}; final R2 {r2(mean, y_test):.4f}")


main()
