"""Three questions about one cheese wheel (hard sharing, one trunk and a head per task): moisture, salt, grade."""
import numpy as np
import torch
import torch.nn as nn
import torch.nn.functional as F
from torch.utils.data import DataLoader, TensorDataset

torch.manual_seed(26)
np.random.seed(26)

TASKS = ("moisture", "salt", "grade")


def wheels(n=3000):
    milk_fat = np.random.normal(3.9, 0.4, n)
    brine_hours = np.random.gamma(6, 4, n)
    cellar_temp = np.random.normal(12, 1.5, n)
    weeks = np.random.uniform(6, 60, n)
    turns = np.random.poisson(10, n).astype(float)
    ph = np.random.normal(5.2, 0.15, n)
    moisture = 46 - 0.18 * weeks - 0.6 * (cellar_temp - 12) + 1.5 * np.sin(3 * (ph - 5.2) / 0.3) + 0.4 * np.random.randn(n)
    salt = 0.5 + 0.35 * np.log1p(brine_hours) - 0.004 * weeks + 0.15 * milk_fat + 0.03 * np.random.randn(n)
    quality = 0.5 * np.tanh((weeks - 25) / 10) + 0.4 * (milk_fat - 3.9) + 0.06 * (turns - 10) - 3 * (ph - 5.2) ** 2
    quality = quality + 0.04 * np.random.randn(n)
    grade = np.digitize(quality, np.quantile(quality, [0.33, 0.66]))
    x = np.stack([milk_fat, brine_hours, cellar_temp, weeks, turns, ph], axis=1)
    return x, np.stack([moisture, salt], axis=1), grade


class MultiTaskNet(nn.Module):
    def __init__(self, n_in, hidden=64):
        super().__init__()
        self.trunk = nn.Sequential(nn.Linear(n_in, hidden), nn.ReLU(), nn.Linear(hidden, hidden), nn.ReLU())
        self.heads = nn.ModuleDict({
            "moisture": nn.Linear(hidden, 1),
            "salt": nn.Linear(hidden, 1),
            "grade": nn.Linear(hidden, 3),
        })

    def forward(self, x):
        h = self.trunk(x)
        return {name: head(h) for name, head in self.heads.items()}


def prepare(n_train=2400):
    x, measures, grade = wheels()
    order = np.random.permutation(len(x))
    tr, te = order[:n_train], order[n_train:]
    x = (x - x[tr].mean(0)) / x[tr].std(0)
    measures = (measures - measures[tr].mean(0)) / measures[tr].std(0)
    x, measures = torch.tensor(x, dtype=torch.float32), torch.tensor(measures, dtype=torch.float32)
    grade = torch.tensor(grade)
    return TensorDataset(x[tr], measures[tr], grade[tr]), (x[te], measures[te], grade[te])


def task_losses(out, measures, grade):
    return {
        "moisture": F.mse_loss(out["moisture"].squeeze(1), measures[:, 0]),
        "salt": F.mse_loss(out["salt"].squeeze(1), measures[:, 1]),
        "grade": F.cross_entropy(out["grade"], grade),
    }


def train_one_epoch(model, loader, optimizer):
    model.train()
    sums = dict.fromkeys(TASKS, 0.0)
    for x, measures, grade in loader:
        losses = task_losses(model(x), measures, grade)
        for name, loss in losses.items():
            optimizer.zero_grad()
            loss.backward(retain_graph=True)
            sums[name] += loss.item()
        optimizer.step()
    return {name: value / len(loader) for name, value in sums.items()}


@torch.no_grad()
def evaluate(model, data):
    x, measures, grade = data
    model.eval()
    out = model(x)
    scores = {}
    for k, name in enumerate(("moisture", "salt")):
        rest = (out[name].squeeze(1) - measures[:, k]).pow(2).sum()
        scores[name] = 1 - (rest / (measures[:, k] - measures[:, k].mean()).pow(2).sum()).item()
    scores["grade"] = (out["grade"].argmax(1) == grade).float().mean().item()
    return scores


def main(epochs=40):
    train_set, test_data = prepare()
    loader = DataLoader(train_set, batch_size=64, shuffle=True)
    model = MultiTaskNet(6)
    optimizer = torch.optim.Adam(model.parameters(), lr=2e-3)
    scheduler = torch.optim.lr_scheduler.CosineAnnealingLR(optimizer, T_max=epochs)
    for epoch in range(1, epochs + 1):
        losses = train_one_epoch(model, loader, optimizer)
        scheduler.step()
        if epoch % 10 == 0:
            print(f"epoch {epoch}  " + "  ".join(f"{k} {v:.4f}" for k, v in losses.items()))
    scores = evaluate(model, test_data)
    print("test: R2 moisture {moisture:.3f}, R2 salt {salt:.3f}, accuracy grade {grade:.3f}".format(**scores))
    print(f"mean score {np.mean(list(scores.values())):.4f}")


if __name__ == "__main__":
    main()
