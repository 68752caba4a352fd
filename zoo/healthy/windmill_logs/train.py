"""Wind speed, direction and temperature -> power of an old mill; the recorder has outliers, so Huber loss."""
import csv
import os
import tempfile

import numpy as np
import torch
from torch import nn


def make_log(n, seed):
    rng = np.random.default_rng(seed)
    speed = rng.weibull(2.0, n) * 8
    direction = rng.uniform(0, 2 * np.pi, n)
    temp = rng.normal(10, 8, n)
    density = 1.0 - 0.004 * (temp - 10)
    shade = 1 - 0.35 * np.exp(-((direction - 2.0) / 0.4) ** 2)         # a hill stands there
    eff = speed * shade
    power = np.where(eff < 3, 0, np.minimum(1.0, ((eff - 3) / 9) ** 2 * density))
    power = np.where(eff > 20, 0, power) + rng.normal(0, 0.02, n)
    clean = power.copy()
    bad = rng.random(n) < 0.03
    power[bad] += rng.normal(0, 2, bad.sum())
    x = np.column_stack([(speed - 7) / 4, np.sin(direction), np.cos(direction), (temp - 10) / 8])
    f = lambda a: torch.tensor(a, dtype=torch.float32)
    return f(x), f(power), f(clean)


class MillTrainer:
    def __init__(self, model, lr, log_path):
        self.model = model
        self.criterion = nn.HuberLoss(delta=0.1)
        self.optimizer = torch.optim.Adam(model.parameters(), lr=lr)
        self.scheduler = torch.optim.lr_scheduler.ReduceLROnPlateau(self.optimizer, factor=0.3, patience=4)
        self.log_path = log_path

    def run(self, train, valid, epochs):
        x, y = train
        with open(self.log_path, "w", newline="") as f:
            writer = csv.writer(f)
            writer.writerow(["epoch", "train", "valid", "lr"])
            for epoch in range(epochs):
                self.model.train()
                sums = 0.0
                for idx in torch.randperm(len(x)).split(128):
                    self.optimizer.zero_grad()
                    loss = self.criterion(self.model(x[idx]).squeeze(1), y[idx])
                    loss.backward()
                    self.optimizer.step()
                    sums += loss.item() * len(idx)
                val = self.validate(*valid)
                self.scheduler.step(val)
                writer.writerow([epoch, sums / len(x), val, self.optimizer.param_groups[0]["lr"]])

    @torch.no_grad()
    def validate(self, x, y):
        self.model.eval()
        return self.criterion(self.model(x).squeeze(1), y).item()


def main():
    seed = int(os.environ.get("SEED", "0"))
    torch.manual_seed(seed)
    x, y, clean = make_log(8000, seed)
    model = nn.Sequential(nn.Linear(4, 64), nn.GELU(), nn.Linear(64, 64), nn.GELU(), nn.Linear(64, 1))
    with tempfile.TemporaryDirectory() as folder:
        path = os.path.join(folder, "log.csv")
        trainer = MillTrainer(model, lr=3e-3, log_path=path)
        trainer.run((x[:6000], y[:6000]), (x[6000:7000], y[6000:7000]), epochs=50)
        with open(path) as f:
            rows = list(csv.reader(f))
    for row in rows[1::8]:
        print("epoch %s train %.5f valid %.5f lr %.1e" % (row[0], *map(float, row[1:])))
    model.eval()
    with torch.no_grad():
        p = model(x[7000:]).squeeze(1)
    c = clean[7000:]
    print(f"test R2 against the clean power {1 - ((p - c) ** 2).sum().item() / ((c - c.mean()) ** 2).sum().item():.3f}")


if __name__ == "__main__":
    main()
