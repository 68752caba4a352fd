"""Three answers per holiday cottage: weekly rate, empty days, repeat bookings. Four folds."""
import numpy as np
import torch
import torch.nn.functional as F
from sklearn.metrics import r2_score, roc_auc_score
from sklearn.model_selection import KFold, train_test_split
from torch import nn

SEED, FOLDS, EPOCHS, BATCH = 5, 4, 20, 64
REGIONS, OWNERS = 9, 5


def make_cottages(n=3200):
    rng = np.random.default_rng(SEED)
    region = rng.integers(0, REGIONS, n)
    owner = rng.integers(0, OWNERS, n)
    beds = rng.integers(1, 8, n)
    area = 22 * beds + rng.gamma(4, 8, n)
    sea = rng.exponential(9, n)
    age = rng.uniform(0, 180, n)
    garden = rng.binomial(1, 0.45, n)
    stars = rng.uniform(2, 5, n)
    region_worth = rng.normal(0, 0.25, REGIONS)[region]
    owner_care = rng.normal(0, 0.8, OWNERS)[owner]
    log_rate = 5.6 + 0.12 * beds + 0.003 * area - 0.25 * np.log1p(sea) / 2 + region_worth + 0.1 * stars + rng.normal(0, 0.08, n)
    empty = 40 + 18 * np.tanh(sea / 10) - 9 * (stars - 3.5) - 7 * garden + 30 * (log_rate - 6.5) ** 2 + rng.normal(0, 4, n)
    logit = 1.8 * (stars - 3.6) + owner_care * 1.5 + 1.2 * garden - 0.8 * (age > 120) - 0.4
    again = rng.binomial(1, 1 / (1 + np.exp(-logit)))
    numeric = np.column_stack([beds, area, np.log1p(sea), age, garden, stars]).astype(np.float32)
    return numeric, np.column_stack([region, owner]), np.column_stack([log_rate, empty]).astype(np.float32), again.astype(np.float32)


class Valuer(nn.Module):
    def __init__(self, n_numeric):
        super().__init__()
        self.region = nn.Embedding(REGIONS, 4)
        self.owner = nn.Embedding(OWNERS, 3)
        self.trunk = nn.Sequential(nn.Linear(n_numeric + 7, 64), nn.SiLU(), nn.Dropout(0.05), nn.Linear(64, 64), nn.SiLU())
        self.rate, self.empty, self.again = nn.Linear(64, 1), nn.Linear(64, 1), nn.Linear(64, 1)
        self.log_var = nn.Parameter(torch.zeros(3))

    def forward(self, numeric, codes):
        h = self.trunk(torch.cat([numeric, self.region(codes[:, 0]), self.owner(codes[:, 1])], dim=1))
        return self.rate(h).squeeze(1), self.empty(h).squeeze(1), self.again(h).squeeze(1)


def task_losses(outputs, targets, again):
    rate, empty, logit = outputs
    return torch.stack([F.mse_loss(rate, targets[:, 0]), F.mse_loss(empty, targets[:, 1]),
                        F.binary_cross_entropy_with_logits(logit, again)])


def joint_loss(losses, log_var):
    scale = torch.tensor([0.5, 0.5, 1.0])
    return (scale * torch.exp(-log_var) * losses + 0.5 * log_var).sum()


def run_fold(fold, data, fit_idx, test_idx):
    torch.manual_seed(SEED + fold)
    numeric, codes, targets, again = data
    train_idx, val_idx = train_test_split(fit_idx, test_size=0.15, random_state=SEED)
    mean_x, std_x = numeric[train_idx].mean(0), numeric[train_idx].std(0)
    mean_y, std_y = targets[train_idx].mean(0), targets[train_idx].std(0)

    def part(idx):
        return (torch.from_numpy((numeric[idx] - mean_x) / std_x), torch.from_numpy(codes[idx]),
                torch.from_numpy((targets[idx] - mean_y) / std_y), torch.from_numpy(again[idx]))

    train, val, test = part(train_idx), part(val_idx), part(test_idx)
    model = Valuer(numeric.shape[1])
    decay = [p for n, p in model.named_parameters() if p.ndim == 2 and n.startswith(("trunk", "rate", "empty", "again"))]
    plain = [p for p in model.parameters() if not any(p is q for q in decay)]
    optimizer = torch.optim.AdamW([{"params": decay, "weight_decay": 1e-2}, {"params": plain, "weight_decay": 0.0}], lr=6e-3)
    steps = EPOCHS * (-(-len(train_idx) // BATCH))
    schedule = torch.optim.lr_scheduler.OneCycleLR(optimizer, max_lr=6e-3, total_steps=steps)
    for epoch in range(EPOCHS):
        model.train()
        for rows in torch.randperm(len(train_idx)).split(BATCH):
            numeric_b, codes_b, targets_b, again_b = (t[rows] for t in train)
            losses = task_losses(model(numeric_b, codes_b), targets_b, again_b)
            loss = joint_loss(losses, model.log_var)
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
            schedule.step()
        if epoch % 10 == 9:
            model.eval()
            with torch.no_grad():
                held = task_losses(model(val[0], val[1]), val[2], val[3])
            print(f"fold {fold} epoch {epoch + 1}: val " + " ".join(f"{v:.3f}" for v in held.tolist())
                  + "  log-variances " + " ".join(f"{v:.2f}" for v in model.log_var.tolist()))
    model.eval()
    with torch.no_grad():
        rate, empty, logit = model(test[0], test[1])
    return (r2_score(test[2][:, 0].numpy(), rate.numpy()), r2_score(test[2][:, 1].numpy(), empty.numpy()),
            roc_auc_score(test[3].numpy(), logit.numpy()))


def main():
    data = make_cottages()
    splitter = KFold(FOLDS, shuffle=True, random_state=SEED)
    scores = np.array([run_fold(k, data, a, b) for k, (a, b) in enumerate(splitter.split(data[0]))])
    rate, empty, again = scores.mean(0)
    print(f"four-fold mean: rate R2 {rate:.3f}, empty days R2 {empty:.3f}, repeat AUC {again:.3f}")


if __name__ == "__main__":
    main()
