# Galls on oak leaves: which wasp made them? 20 measurements, 5 wasps.
# SGD with momentum without torch.optim: the velocity is kept in p.grad itself.
# v <- 0.9 v + g ; p <- p - lr v     (backward() adds g to p.grad, so p.grad *= 0.9 is the whole bookkeeping)
import os
import random
import numpy as np
import torch
import torch.nn as nn
from sklearn.datasets import make_classification
from sklearn.model_selection import train_test_split

seed = int(os.environ.get("SEED", "0"))
random.seed(seed)
np.random.seed(seed)
torch.manual_seed(seed)

X, y = make_classification(n_samples=2500, n_features=20, n_informative=10, n_redundant=4, n_classes=5,
                           n_clusters_per_class=1, class_sep=1.4, random_state=seed)
X1, X2, y1, y2 = train_test_split(X, y, test_size=0.25, random_state=seed, stratify=y)
mean, std = X1.mean(0), X1.std(0)
X1 = torch.tensor((X1 - mean) / std, dtype=torch.float32)
X2 = torch.tensor((X2 - mean) / std, dtype=torch.float32)
y1, y2 = torch.tensor(y1), torch.tensor(y2)

net = nn.Sequential(
    nn.Linear(20, 48), nn.ReLU(),
    nn.Linear(48, 48), nn.ReLU(),
    nn.Linear(48, 5),
)
loss_fn = nn.CrossEntropyLoss()
lr = 0.01
beta = 0.9
batch_size = 32


def accuracy(X, y):
    net.eval()
    with torch.no_grad():
        a = (net(X).argmax(1) == y).float().mean().item()
    net.train()
    return a


def move():
    with torch.no_grad():
        for p in net.parameters():
            p -= lr * p.grad
            p.grad *= beta


for epoch in range(60):
    perm = torch.randperm(len(X1))
    losses = []
    for i in range(0, len(X1), batch_size):
        b = perm[i:i + batch_size]
        loss = loss_fn(net(X1[b]), y1[b])
        loss.backward()
        move()
        losses.append(loss.item())
    if epoch == 40:
        lr = lr * 0.2
    if (epoch + 1) % 5 == 0:
        print("epoch %2d  loss %.4f  test %.3f" % (epoch + 1, np.mean(losses), accuracy(X2, y2)))

print("train accuracy %.4f" % accuracy(X1, y1))
print("test accuracy %.4f" % accuracy(X2, y2))
