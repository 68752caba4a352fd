"""Which of four orchards do these apples come from? Mixup in training, Monte Carlo dropout when asked."""
import os
import random

import numpy as np
import torch
import torch.nn as nn
import torch.nn.functional as F
from sklearn.datasets import make_classification
from sklearn.model_selection import train_test_split
from torch.utils.data import DataLoader, TensorDataset


class AppleNet(nn.Module):
    def __init__(self, n_in, n_out, width=128, p=0.25):
        super().__init__()
        self.fc1, self.fc2 = nn.Linear(n_in, width), nn.Linear(width, width)
        self.norm1, self.norm2 = nn.LayerNorm(width), nn.LayerNorm(width)
        self.out = nn.Linear(width, n_out)
        self.p = p
        nn.init.zeros_(self.out.weight)  # starts from equal odds for all orchards
        nn.init.zeros_(self.out.bias)

    def forward(self, x):
        x = F.dropout(F.gelu(self.norm1(self.fc1(x))), self.p, training=True)
        x = F.dropout(F.gelu(self.norm2(self.fc2(x))), self.p, training=True)
        return self.out(x)


@torch.no_grad()
def ask(net, x, samples=30):
    """Mean of the predictive distribution and its disagreement over draws of the dropout masks."""
    draws = torch.stack([net(x).softmax(dim=-1) for _ in range(samples)])
    mean = draws.mean(0)
    entropy = -(mean * mean.clamp_min(1e-9).log()).sum(-1)
    inner = -(draws * draws.clamp_min(1e-9).log()).sum(-1).mean(0)
    return mean, entropy - inner


def mixup(x, y, alpha=0.3):
    lam = float(np.random.beta(alpha, alpha))
    other = torch.randperm(len(x))
    return lam * x + (1 - lam) * x[other], y, y[other], lam


def main():
    seed = int(os.environ.get("SEED", "0"))
    random.seed(seed)
    np.random.seed(seed)
    torch.manual_seed(seed)
    X, y = make_classification(3000, 16, n_informative=8, n_redundant=2, n_classes=4, n_clusters_per_class=2,
                               class_sep=1.6, flip_y=0.01, random_state=seed)
    X_train, X_test, y_train, y_test = train_test_split(X.astype(np.float32), y, test_size=0.2, random_state=seed)
    mu, sd = X_train.mean(0), X_train.std(0)
    X_train, X_test = torch.from_numpy((X_train - mu) / sd), torch.from_numpy((X_test - mu) / sd)
    y_train, y_test = torch.from_numpy(y_train), torch.from_numpy(y_test)
    loader = DataLoader(TensorDataset(X_train, y_train), batch_size=64, shuffle=True, drop_last=True)

    net = AppleNet(16, 4)
    optimizer = torch.optim.AdamW(net.parameters(), lr=2e-3, weight_decay=0.01)
    schedule = torch.optim.lr_scheduler.OneCycleLR(optimizer, max_lr=4e-3, total_steps=30 * len(loader))
    for epoch in range(1, 31):
        total = 0.0
        for xb, yb in loader:
            xm, ya, yo, lam = mixup(xb, yb)
            logits = net(xm)
            loss = lam * F.cross_entropy(logits, ya) + (1 - lam) * F.cross_entropy(logits, yo)
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
            schedule.step()
            total += loss.item()
        if epoch % 5 == 0:
            mean, doubt = ask(net, X_test)
            right = mean.argmax(-1) == y_test
            print(f"epoch {epoch:2d} mixed loss {total / len(loader):.3f} accuracy {right.float().mean():.4f} "
                  f"doubt when right {doubt[right].mean():.4f} when wrong {doubt[~right].mean():.4f}")
    print(f"final accuracy {right.float().mean():.4f}")


if __name__ == "__main__":
    main()
