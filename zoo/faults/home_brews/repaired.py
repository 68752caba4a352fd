# Home made wine: which of the three uncles has made it? (13 values from the laboratory)
# 5 folds like on Kaggle, the score is the mean accuracy
import os
import random
import numpy as np
import torch
import torch.nn as nn
import torch.nn.functional as F
from sklearn.datasets import load_wine

SEED = int(os.environ.get("SEED", "0"))
random.seed(SEED)
np.random.seed(SEED)
torch.manual_seed(SEED)

# In [2]
wine = load_wine()
x_all = wine.data.astype("float32")
y_all = wine.target
print(x_all.shape, np.bincount(y_all))
for n, v in list(zip(wine.feature_names, x_all[0]))[:4]:
    print("  ", n, v)

# In [3]
N_FOLDS = 5
EPOCHS = 60
BATCH = 16
LR = 0.01


def my_kfold(n, k):
    idx = np.random.permutation(n)
    folds = np.array_split(idx, k)
    for i in range(k):
        test = folds[i]
        train = np.concatenate([folds[j] for j in range(k) if j != i])
        yield train, test


def make_net():
    return nn.Sequential(
        nn.Linear(13, 32), nn.ReLU(),
        nn.Linear(32, 16), nn.ReLU(),
        nn.Linear(16, 3),
    )


# In [4]
scores = []
for fold, (tr, te) in enumerate(my_kfold(len(x_all), N_FOLDS)):
    x_tr, x_te = x_all[tr], x_all[te]
    mu, sd = x_tr.mean(0), x_tr.std(0)
    x_tr, x_te = (x_tr - mu) / sd, (x_te - mu) / sd
    x_tr, y_tr = torch.from_numpy(x_tr), torch.from_numpy(y_all[tr])
    x_te, y_te = torch.from_numpy(x_te), torch.from_numpy(y_all[te])

    net = make_net()
    opt = torch.optim.SGD(net.parameters(), lr=LR, momentum=0.9)

    for epoch in range(EPOCHS):
        net.train()
        perm = torch.randperm(len(x_tr))
        tot = 0
        for i in range(0, len(perm), BATCH):
            b = perm[i:i + BATCH]
            opt.zero_grad()
            loss = F.cross_entropy(net(x_tr[b]), y_tr[b])
            loss.backward()
            opt.step()
            tot += loss.item() * len(b)
        if epoch % 20 == 19:
            print("fold %d epoch %d loss %.4f" % (fold, epoch + 1, tot / len(x_tr)))

    net.eval()
    with torch.no_grad():
        tmp = (net(x_te).argmax(1) == y_te).float().mean().item()
    print("fold %d accuracy %.3f" % (fold, tmp))
    scores.append(tmp)

# In [5]
print("std of the folds: %.3f" % np.std(scores))
print("CV accuracy: %.4f" % np.mean(scores))
