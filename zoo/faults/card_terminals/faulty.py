# fraud score for card terminals: train on the spring, check on held-out rows
# of the spring and on the following month
import numpy as np
import torch
from sklearn.metrics import roc_auc_score
from sklearn.preprocessing import StandardScaler
from torch import nn

N_TERMINALS = 1800
N_SPRING = 9000
N_LIVE = 4000


def make_month(rng, n, risk):
    terminal = rng.integers(0, N_TERMINALS, n)
    amount = rng.lognormal(3.0, 0.8, n)
    hour = rng.uniform(0, 24, n)
    velocity = rng.poisson(2.0, n).astype(float)
    distance = rng.exponential(1.0, n)
    age = rng.uniform(0, 6, n)
    night = np.cos(2 * np.pi * (hour - 3) / 24)
    logit = (
        -2.0
        + 0.9 * (np.log(amount) - 3.0)
        + 1.1 * night
        + 0.5 * (velocity - 2)
        + 0.9 * (distance - 1)
        - 0.3 * (age - 3)
        + 0.5 * risk[terminal]
    )
    fraud = (rng.uniform(size=n) < 1 / (1 + np.exp(-logit))).astype(float)
    numeric = np.stack([np.log(amount), np.sin(2 * np.pi * hour / 24), np.cos(2 * np.pi * hour / 24),
                        velocity, distance, age], axis=1)
    return {"terminal": terminal, "numeric": numeric, "fraud": fraud}


class RiskTable:
    """Fraud rate of each terminal, drawn towards the overall rate where a
    terminal has few rows."""

    def __init__(self, strength=1.0):
        self.strength = strength

    def fit(self, terminal, fraud):
        self.prior = fraud.mean()
        self.count = np.bincount(terminal, minlength=N_TERMINALS).astype(float)
        self.total = np.bincount(terminal, weights=fraud, minlength=N_TERMINALS)
        return self

    def rate(self, total, count):
        return (total + self.strength * self.prior) / (count + self.strength)

    def transform(self, terminal):
        return self.rate(self.total[terminal], self.count[terminal])

    def fit_transform(self, terminal, fraud):
        self.fit(terminal, fraud)
        return self.transform(terminal)


def assemble(numeric, rate):
    return np.concatenate([numeric, rate[:, None]], axis=1)


def build_model(n_in):
    return nn.Sequential(
        nn.Linear(n_in, 64), nn.ReLU(), nn.Dropout(0.1),
        nn.Linear(64, 32), nn.ReLU(),
        nn.Linear(32, 1),
    )


@torch.no_grad()
def auc(model, x, y):
    model.eval()
    return roc_auc_score(y, torch.sigmoid(model(x)).squeeze(1).numpy())


def train(model, x, y, epochs=45, batch=128, lr=1e-3):
    opt = torch.optim.AdamW(model.parameters(), lr=lr, weight_decay=1e-3)
    sched = torch.optim.lr_scheduler.CosineAnnealingLR(opt, T_max=epochs)
    criterion = nn.BCEWithLogitsLoss()
    for epoch in range(epochs):
        model.train()
        running = 0.0
        for idx in torch.randperm(len(x)).split(batch):
            opt.zero_grad()
            loss = criterion(model(x[idx]).squeeze(1), y[idx])
            loss.backward()
            opt.step()
            running += loss.item() * len(idx)
        sched.step()
        if (epoch + 1) % 5 == 0:
            print(f"epoch {epoch + 1:2d}  train loss {running / len(x):.4f}  train auc {auc(model, x, y):.4f}")


def main():
    np.random.seed(31)
    torch.manual_seed(31)
    rng = np.random.default_rng(np.random.randint(1 << 30))

    risk = rng.standard_normal(N_TERMINALS)
    spring = make_month(rng, N_SPRING, risk)
    live = make_month(rng, N_LIVE, risk)
    print(f"spring: {len(spring['fraud'])} rows, {spring['fraud'].mean():.1%} fraud")

    table = RiskTable()
    spring_rate = table.fit_transform(spring["terminal"], spring["fraud"])
    live_rate = table.transform(live["terminal"])

    scaler = StandardScaler()
    x_spring = scaler.fit_transform(assemble(spring["numeric"], spring_rate))
    x_live = scaler.transform(assemble(live["numeric"], live_rate))
    x_spring = torch.tensor(x_spring, dtype=torch.float32)
    x_live = torch.tensor(x_live, dtype=torch.float32)
    y_spring = torch.tensor(spring["fraud"], dtype=torch.float32)
    y_live = torch.tensor(live["fraud"], dtype=torch.float32)

    model = build_model(x_spring.shape[1])
    train(model, x_spring, y_spring)
    print(f"spring auc {auc(model, x_spring, y_spring):.4f}")
    print(f"live month auc {auc(model, x_live, y_live):.4f}")


if __name__ == "__main__":
    main()
