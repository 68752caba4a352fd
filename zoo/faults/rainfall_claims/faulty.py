import numpy as np
import torch
import torch.nn as nn
from torch.utils.data import DataLoader, TensorDataset

torch.manual_seed(404)
np.random.seed(404)

"""Storm damage. National file (many policies): predict the rain of the storm at the address.
Regional file (few policies): predict the amount of the claim, starting from the national body."""


def storms(n):
    x = np.random.randn(n, 10)
    x[:, 3] = np.abs(x[:, 3])
    basin = np.sin(1.5 * x[:, 0]) + 0.6 * x[:, 1] * x[:, 2] + 0.5 * x[:, 3]
    drain = np.tanh(x[:, 4] - x[:, 5]) + 0.3 * x[:, 6] ** 2
    rain = 30 + 9 * basin - 6 * drain + 2 * np.random.randn(n)
    claim = np.exp(6.5 + 0.5 * basin - 0.55 * drain + 0.2 * np.random.randn(n))
    return x.astype("float32"), rain.astype("float32"), claim.astype("float32")


class Body(nn.Module):
    def __init__(self):
        super().__init__()
        self.net = nn.Sequential(nn.Linear(10, 96), nn.GELU(), nn.Linear(96, 96), nn.GELU(), nn.Linear(96, 48), nn.GELU())

    def forward(self, x):
        return self.net(x)


class RainModel(nn.Module):
    def __init__(self, body):
        super().__init__()
        self.body = body
        self.head = nn.Linear(48, 1)

    def forward(self, x):
        return self.head(self.body(x)).squeeze(1)


class ClaimModel(nn.Module):
    def __init__(self, body):
        super().__init__()
        self.body = body
        # amounts of money: the output block
        self.head = nn.Sequential(
            nn.Linear(48, 32),
            nn.ReLU(),
            nn.Linear(32, 1),
            nn.ReLU(),
        )

    def forward(self, x):
        return self.head(self.body(x)).squeeze(1)


class Trainer:
    def __init__(self, model, groups, epochs):
        self.model, self.epochs = model, epochs
        self.opt = torch.optim.Adam(groups)
        self.criterion = nn.MSELoss()

    def fit(self, x, y, title):
        loader = DataLoader(TensorDataset(torch.from_numpy(x), torch.from_numpy(y)), batch_size=64, shuffle=True)
        for ep in range(1, self.epochs + 1):
            self.model.train()
            tot, n = 0.0, 0
            for xb, yb in loader:
                self.opt.zero_grad()
                loss = self.criterion(self.model(xb), yb)
                loss.backward()
                self.opt.step()
                tot, n = tot + loss.item() * len(xb), n + len(xb)
            if ep % (self.epochs // 4) == 0:
                print(f"[{title}] epoch {ep} mse {tot / n:.3f}")

    @torch.no_grad()
    def predict(self, x):
        self.model.eval()
        return self.model(torch.from_numpy(x)).numpy()


x_nat, rain, _ = storms(5000)
body = Body()
national = Trainer(RainModel(body), [{"params": body.parameters(), "lr": 1e-3}], epochs=20)
national.opt.add_param_group({"params": national.model.head.parameters(), "lr": 1e-3})
national.fit(x_nat, (rain - rain.mean()) / rain.std(), "national")

x_reg, _, claim = storms(1600)
log_claim = np.log(claim)
x_tr, x_te, l_tr, l_te = x_reg[:600], x_reg[600:], log_claim[:600], log_claim[600:]
m, s = l_tr.mean(), l_tr.std()

claims = ClaimModel(body)
regional = Trainer(claims, [{"params": body.parameters(), "lr": 2e-4},
                            {"params": claims.head.parameters(), "lr": 1e-3}], epochs=60)
regional.fit(x_tr, (l_tr - m) / s, "regional")

pred = regional.predict(x_te) * s + m
r2 = 1 - ((pred - l_te) ** 2).sum() / ((l_te - l_te.mean()) ** 2).sum()
print(f"typical factor between claim and estimate: {np.exp(np.abs(pred - l_te).mean()):.2f}")
print(f"R2 of the log claim on unseen policies:    {r2:.3f}")
