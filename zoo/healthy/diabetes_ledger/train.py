"""Diabetes progression, 442 patients: ridge first, then an average of small nets; 5-fold R2."""
import os

import numpy as np
import torch
from sklearn.datasets import load_diabetes
from sklearn.linear_model import RidgeCV
from sklearn.metrics import r2_score
from sklearn.model_selection import KFold
from torch import nn
from torch.utils.data import DataLoader, TensorDataset

settings = dict(seed=int(os.environ.get("SEED", "0")), folds=5, nets=4, width=24, epochs=40, batch=32,
                lr=2e-3, weight_decay=0.3, dropout=0.2)


def net(d):
    s = settings
    return nn.Sequential(nn.Linear(d, s["width"]), nn.ReLU(), nn.Dropout(s["dropout"]), nn.Linear(s["width"], 1))


def train_net(x, y):
    model = net(x.shape[1])
    decay = [p for p in model.parameters() if p.ndim > 1]
    plain = [p for p in model.parameters() if p.ndim == 1]
    optimizer = torch.optim.AdamW([{"params": decay, "weight_decay": settings["weight_decay"]},
                                   {"params": plain, "weight_decay": 0.0}], lr=settings["lr"])
    loader = DataLoader(TensorDataset(x, y), batch_size=settings["batch"], shuffle=True)
    criterion = nn.MSELoss()
    model.train()
    for epoch in range(settings["epochs"]):
        for xb, yb in loader:
            loss = criterion(model(xb), yb)
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
    return model.eval()


def main():
    torch.manual_seed(settings["seed"])
    x, y = load_diabetes(return_X_y=True, scaled=False)
    ridge_scores, net_scores = [], []
    for fold, (tr, te) in enumerate(KFold(settings["folds"], shuffle=True, random_state=settings["seed"]).split(x)):
        mean, std = x[tr].mean(0), x[tr].std(0)
        xtr, xte = (x[tr] - mean) / std, (x[te] - mean) / std
        ym, ys = y[tr].mean(), y[tr].std()

        ridge = RidgeCV(alphas=np.logspace(-1, 3, 9)).fit(xtr, y[tr])
        ridge_scores.append(r2_score(y[te], ridge.predict(xte)))

        a = torch.tensor(xtr, dtype=torch.float32)
        b = torch.tensor((y[tr] - ym) / ys, dtype=torch.float32).unsqueeze(1)
        models = [train_net(a, b) for _ in range(settings["nets"])]
        with torch.no_grad():
            z = torch.tensor(xte, dtype=torch.float32)
            pred = torch.stack([m(z) for m in models]).mean(0).squeeze(1).numpy() * ys + ym
        net_scores.append(r2_score(y[te], pred))
        print(f"fold {fold}: ridge R2 {ridge_scores[-1]:.3f}  nets R2 {net_scores[-1]:.3f}")
    print(f"mean R2: ridge {np.mean(ridge_scores):.3f}  nets {np.mean(net_scores):.3f}")


if __name__ == "__main__":
    main()
