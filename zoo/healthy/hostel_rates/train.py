# Tabular playground style: 5-fold OOF, embeddings for categoricals, RMSLE metric.
import copy
import random

import numpy as np
import torch
import torch.nn as nn
from sklearn.linear_model import Ridge
from sklearn.model_selection import StratifiedKFold
from sklearn.preprocessing import OneHotEncoder, StandardScaler
from torch.utils.data import DataLoader, TensorDataset


class CFG:
    seed = 2024
    n_rows = 3000
    n_folds = 5
    bs = 64
    epochs = 14
    max_lr = 1e-2
    wd = 1e-2
    clip = 1.0
    ema = 0.98


def seed_everything(seed):
    random.seed(seed)
    np.random.seed(seed)
    torch.manual_seed(seed)


def load_frame():
    rng = np.random.default_rng(CFG.seed)
    n = CFG.n_rows
    town, kind, season = rng.integers(0, 30, n), rng.integers(0, 5, n), rng.integers(0, 4, n)
    beds, age = rng.integers(1, 13, n), rng.gamma(2.0, 12.0, n)
    km_station, rating, occupancy = rng.exponential(1.5, n), rng.uniform(2.5, 5.0, n), rng.beta(4, 2, n)
    town_level, kind_level = rng.normal(0, 0.35, 30), rng.normal(0, 0.25, 5)
    season_by_town = rng.normal(0, 0.2, (30, 4))
    log_rate = (3.4 + town_level[town] + kind_level[kind] + season_by_town[town, season]
                - 0.30 * np.log(beds) + 0.5 * np.sin(2.2 * rating) - 0.25 * np.tanh(km_station)
                + 0.6 * (occupancy - 0.6) * (season == 2) - 0.004 * age + rng.normal(0, 0.10, n))
    cats = np.stack([town, kind, season], 1)
    nums = np.stack([np.log(beds), np.log1p(age), np.log1p(km_station), rating, occupancy], 1)
    return cats, nums, np.expm1(log_rate)


class TabNet(nn.Module):
    def __init__(self, cards, n_num):
        super().__init__()
        self.embs = nn.ModuleList(nn.Embedding(c, min(12, (c + 1) // 2 + 1)) for c in cards)
        width = sum(e.embedding_dim for e in self.embs) + n_num
        self.mlp = nn.Sequential(
            nn.Linear(width, 96), nn.LayerNorm(96), nn.SiLU(), nn.Dropout(0.05),
            nn.Linear(96, 48), nn.LayerNorm(48), nn.SiLU(), nn.Linear(48, 1))

    def forward(self, c, x):
        e = [emb(c[:, i]) for i, emb in enumerate(self.embs)]
        return self.mlp(torch.cat(e + [x], 1)).squeeze(1)


def train_fn(loader, model, ema, optimizer, scheduler, criterion):
    model.train()
    losses = []
    for c, x, y in loader:
        optimizer.zero_grad(set_to_none=True)
        loss = criterion(model(c, x), y)
        loss.backward()
        nn.utils.clip_grad_norm_(model.parameters(), CFG.clip)
        optimizer.step()
        scheduler.step()
        with torch.no_grad():
            for pe, p in zip(ema.parameters(), model.parameters()):
                pe.lerp_(p, 1 - CFG.ema)
        losses.append(loss.item())
    return float(np.mean(losses))


@torch.no_grad()
def infer_fn(model, c, x):
    model.eval()
    return model(c, x).numpy()


def run_fold(fold, trn, val, cats, nums, log_y):
    seed_everything(CFG.seed + fold)
    sc = StandardScaler().fit(nums[trn])
    mu, sd = log_y[trn].mean(), log_y[trn].std()
    c = torch.as_tensor(cats)
    x = torch.as_tensor(sc.transform(nums), dtype=torch.float32)
    y = torch.as_tensor((log_y - mu) / sd, dtype=torch.float32)
    loader = DataLoader(TensorDataset(c[trn], x[trn], y[trn]), CFG.bs, shuffle=True, drop_last=True)
    model = TabNet([30, 5, 4], nums.shape[1])
    ema = copy.deepcopy(model).requires_grad_(False)
    opt = torch.optim.AdamW(model.parameters(), lr=CFG.max_lr, weight_decay=CFG.wd)
    sched = torch.optim.lr_scheduler.OneCycleLR(opt, CFG.max_lr, total_steps=CFG.epochs * len(loader))
    for _ in range(CFG.epochs):
        loss = train_fn(loader, model, ema, opt, sched, nn.SmoothL1Loss())
    pred = infer_fn(ema, c[val], x[val]) * sd + mu
    rmsle = np.sqrt(np.mean((pred - log_y[val]) ** 2))
    # linear baseline on the same fold
    oh = OneHotEncoder(handle_unknown="ignore", sparse_output=False).fit(cats[trn])
    feats = lambda idx: np.hstack([oh.transform(cats[idx]), sc.transform(nums[idx])])
    base = Ridge(1.0).fit(feats(trn), log_y[trn]).predict(feats(val))
    print(f"fold {fold}: last train loss {loss:.4f}  val rmsle {rmsle:.4f}")
    return pred, base


if __name__ == "__main__":
    cats, nums, target = load_frame()
    log_y = np.log1p(target)
    bins = np.digitize(log_y, np.quantile(log_y, np.linspace(0.1, 0.9, 9)))
    oof, ridge = np.zeros(len(log_y)), np.zeros(len(log_y))
    skf = StratifiedKFold(CFG.n_folds, shuffle=True, random_state=CFG.seed)
    for fold, (trn, val) in enumerate(skf.split(nums, bins)):
        oof[val], ridge[val] = run_fold(fold, trn, val, cats, nums, log_y)
    score = lambda p: np.sqrt(np.mean((p - log_y) ** 2))
    print(f"OOF RMSLE {score(oof):.4f} | ridge {score(ridge):.4f} | mean {log_y.std():.4f}")
