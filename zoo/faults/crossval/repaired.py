"""Four-fold evaluation of a small net on the wine table."""
import copy

import numpy as np
import torch
import torch.nn as nn
from sklearn.datasets import load_wine
from sklearn.model_selection import StratifiedKFold

torch.manual_seed(0)
X, Y = load_wine(return_X_y=True)
template = nn.Sequential(nn.Linear(13, 32), nn.SiLU(), nn.Linear(32, 3))
lossf = nn.CrossEntropyLoss()


def run_fold(fold, tr, te):
    model = copy.deepcopy(template)
    optimizer = torch.optim.Adam(model.parameters(), lr=2e-3)
    m, s = X[tr].mean(0), X[tr].std(0)
    xt = torch.tensor((X[tr] - m) / s, dtype=torch.float32)
    xe = torch.tensor((X[te] - m) / s, dtype=torch.float32)
    yt, ye = torch.tensor(Y[tr]), torch.tensor(Y[te])
    for epoch in range(40):
        model.train()
        tot = 0.0
        for idx in torch.randperm(len(xt)).split(16):
            model.zero_grad()
            loss = lossf(model(xt[idx]), yt[idx])
            loss.backward()
            optimizer.step()
            tot += loss.item() * len(idx)
        model.eval()
        with torch.no_grad():
            acc = (model(xe).argmax(1) == ye).float().mean().item()
        if epoch % 10 == 9:
            print(f"fold {fold} epoch {epoch + 1} loss {tot / len(xt):.4f} acc {acc:.3f}")
    return acc


folds = StratifiedKFold(4, shuffle=True, random_state=0).split(X, Y)
accs = [run_fold(i, tr, te) for i, (tr, te) in enumerate(folds)]
print(f"mean accuracy {np.mean(accs):.3f} +- {np.std(accs):.3f}")
