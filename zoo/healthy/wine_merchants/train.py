# Which of three growers made the wine?  Five folds, a small net against logistic regression.
import os

import numpy as np
import torch
import torch.nn.functional as F
from sklearn.datasets import load_wine
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import StratifiedKFold
from sklearn.preprocessing import StandardScaler
from torch import nn

seed = int(os.environ.get("SEED", "0"))
torch.manual_seed(seed)
np.random.seed(seed)

data = load_wine()
X, y = data.data, data.target


def new_net():
    return nn.Sequential(
        nn.Linear(13, 32),
        nn.ReLU(),
        nn.Dropout(0.2),
        nn.Linear(32, 3),
    )


def fit_net(xtr, ytr, epochs=600):
    net = new_net()
    opt = torch.optim.Adam(net.parameters(), lr=0.01, weight_decay=1e-3)
    sched = torch.optim.lr_scheduler.CosineAnnealingLR(opt, T_max=epochs)
    net.train()
    for epoch in range(epochs):
        opt.zero_grad()
        loss = F.cross_entropy(net(xtr), ytr)     # 142 wines: the whole of them is the batch
        loss.backward()
        opt.step()
        sched.step()
    return net, loss.item()


net_scores, lin_scores = [], []
for repeat in range(2):
    folds = StratifiedKFold(n_splits=5, shuffle=True, random_state=seed * 10 + repeat)
    for k, (tr, te) in enumerate(folds.split(X, y)):
        scaler = StandardScaler().fit(X[tr])
        xtr = torch.tensor(scaler.transform(X[tr]), dtype=torch.float32)
        xte = torch.tensor(scaler.transform(X[te]), dtype=torch.float32)
        ytr, yte = torch.tensor(y[tr]), torch.tensor(y[te])

        net, last = fit_net(xtr, ytr)
        net.eval()
        with torch.no_grad():
            acc = (net(xte).argmax(1) == yte).float().mean().item()
        net_scores.append(acc)

        lin = LogisticRegression(max_iter=500).fit(scaler.transform(X[tr]), y[tr])
        lin_scores.append(lin.score(scaler.transform(X[te]), y[te]))
        print(f"repeat {repeat} fold {k}: net {acc:.3f}  logistic {lin_scores[-1]:.3f}  last train loss {last:.4f}")

print(f"net      {np.mean(net_scores):.3f} +- {np.std(net_scores):.3f}")
print(f"logistic {np.mean(lin_scores):.3f} +- {np.std(lin_scores):.3f}")
