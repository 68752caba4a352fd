"""Sorting the digits of the button cards with a residual net that starts as the identity."""
import os
import random

import numpy as np
import torch
import torch.nn as nn
import torch.nn.functional as F
from sklearn.datasets import load_digits
from sklearn.model_selection import train_test_split
from torch.utils.data import DataLoader, TensorDataset

seed = int(os.environ.get("SEED", "0"))
random.seed(seed); np.random.seed(seed); torch.manual_seed(seed)


class Block(nn.Module):
    def __init__(self, width):
        super().__init__()
        self.norm = nn.LayerNorm(width)
        self.up = nn.Linear(width, 2 * width)
        self.down = nn.Linear(2 * width, width)
        # the branch is silent at the start, the block passes its input through
        nn.init.zeros_(self.down.weight)
        nn.init.zeros_(self.down.bias)

    def forward(self, x):
        return x + self.down(F.gelu(self.up(self.norm(x))))


class Net(nn.Module):
    def __init__(self, width=64, depth=4):
        super().__init__()
        self.stem = nn.Linear(64, width)
        self.blocks = nn.ModuleList([Block(width) for _ in range(depth)])
        self.head = nn.Linear(width, 10)
        nn.init.zeros_(self.head.weight)
        nn.init.zeros_(self.head.bias)

    def forward(self, x):
        x = self.stem(x)
        for block in self.blocks:
            x = block(x)
        return self.head(x)


class Trainer:
    def __init__(self, model, train, test, epochs):
        self.model, self.train_loader, self.test = model, train, test
        self.epochs = epochs
        self.opt = torch.optim.AdamW(model.parameters(), lr=2e-3, weight_decay=0.05)
        steps = epochs * len(train)
        self.sched = torch.optim.lr_scheduler.OneCycleLR(self.opt, max_lr=2e-3, total_steps=steps)

    def fit(self):
        for epoch in range(self.epochs):
            self.model.train()
            total = 0.0
            for x, y in self.train_loader:
                self.opt.zero_grad(set_to_none=True)
                loss = F.cross_entropy(self.model(x), y)
                loss.backward()
                self.opt.step()
                self.sched.step()  # OneCycle counts batches
                total += loss.item() * len(y)
            print(f"[{epoch + 1:02d}/{self.epochs}] loss {total / len(self.train_loader.dataset):.4f} acc {self.score():.4f}")

    @torch.no_grad()
    def score(self):
        self.model.eval()
        x, y = self.test
        return (self.model(x).argmax(1) == y).float().mean().item()


X, y = load_digits(return_X_y=True)
X_tr, X_te, y_tr, y_te = train_test_split(X / 16.0 - 0.3, y, test_size=0.25, random_state=seed, stratify=y)
train_set = TensorDataset(torch.tensor(X_tr, dtype=torch.float32), torch.tensor(y_tr))
test_set = (torch.tensor(X_te, dtype=torch.float32), torch.tensor(y_te))
trainer = Trainer(Net(), DataLoader(train_set, batch_size=32, shuffle=True), test_set, epochs=9)
print("first loss should be ln(10) = 2.3026:", round(F.cross_entropy(trainer.model(test_set[0]), test_set[1]).item(), 4))
trainer.fit()
print("test accuracy", round(trainer.score(), 4))
