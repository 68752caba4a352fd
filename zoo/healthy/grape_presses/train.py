# Which grower do the samples come from? Distillation-style soft labels, the net returns probabilities.
import os
import random
import numpy as np
import torch
import torch.nn as nn
from sklearn.datasets import load_wine
from sklearn.model_selection import StratifiedKFold

seed = int(os.environ.get("SEED", "0"))
random.seed(seed)
np.random.seed(seed)
torch.manual_seed(seed)

data = load_wine()
X, y = data.data.astype(np.float32), data.target


def build():
    # the app wants probabilities, so the softmax belongs to the network
    return nn.Sequential(
        nn.Linear(13, 32), nn.ReLU(),
        nn.Linear(32, 32), nn.ReLU(),
        nn.Linear(32, 3), nn.Softmax(dim=1),
    )


nll = nn.NLLLoss(reduction="sum")
eps = 1e-8


def train_one(net, xt, yt, steps=240, pieces=4):
    # one step on the whole fold; the gradient is summed up over pieces
    opt = torch.optim.Adam(net.parameters(), lr=3e-3, weight_decay=1e-4)
    opt.zero_grad()
    for step in range(steps):
        whole = 0.0
        for xb, yb in zip(xt.chunk(pieces), yt.chunk(pieces)):
            p = net(xb)
            loss = nll(torch.log(p + eps), yb) / len(yt)
            loss.backward()
            whole += loss.item()
        opt.step()
        opt.zero_grad()
        if step % 80 == 0 or step == steps - 1:
            print(f"    step {step:3d}  loss {whole:.4f}")


scores = []
folds = StratifiedKFold(n_splits=4, shuffle=True, random_state=seed)
for k, (tr, te) in enumerate(folds.split(X, y)):
    mean, std = X[tr].mean(0), X[tr].std(0)
    xt = torch.from_numpy((X[tr] - mean) / std)
    xe = torch.from_numpy((X[te] - mean) / std)
    yt, ye = torch.from_numpy(y[tr]).long(), torch.from_numpy(y[te]).long()
    net = build()
    print(f"fold {k}")
    train_one(net, xt, yt)
    with torch.no_grad():
        probs = net(xe)
        acc = (probs.argmax(1) == ye).float().mean().item()
    scores.append(acc)
    print(f"  fold {k} accuracy {acc:.3f}, mean confidence {probs.max(1).values.mean():.3f}")

print("cross-validated accuracy %.4f" % np.mean(scores))
