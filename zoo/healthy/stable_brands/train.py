"""Transfer a mark reader to four unseen marks with only 25 labelled examples of each."""
import copy

import numpy as np
import torch
from sklearn.datasets import load_digits
from sklearn.model_selection import train_test_split
from torch import nn
from torch.utils.data import DataLoader, TensorDataset

SEED = 21


def load():
    x, y = load_digits(return_X_y=True)
    x = torch.tensor(x, dtype=torch.float32).view(-1, 1, 8, 8)
    y = torch.tensor(y)
    old, new = torch.where(y < 6)[0], torch.where(y >= 6)[0]
    pre_train, pre_val = train_test_split(old, test_size=0.2, stratify=y[old], random_state=SEED)
    few, rest = train_test_split(new, train_size=100, stratify=y[new], random_state=SEED)
    val, test = train_test_split(rest, train_size=100, stratify=y[rest], random_state=SEED)
    mean, std = x[pre_train].mean(), x[pre_train].std()
    x = (x - mean) / std

    def make(idx, shift=0):
        return TensorDataset(x[idx], y[idx] - shift)

    return make(pre_train), make(pre_val), make(few, 6), make(val, 6), make(test, 6)


def make_backbone():
    return nn.Sequential(
        nn.Conv2d(1, 32, 3, padding=1), nn.BatchNorm2d(32), nn.ReLU(),
        nn.Conv2d(32, 32, 3, padding=1), nn.BatchNorm2d(32), nn.ReLU(), nn.MaxPool2d(2),
        nn.Conv2d(32, 64, 3, padding=1), nn.BatchNorm2d(64), nn.ReLU(), nn.MaxPool2d(2),
        nn.Flatten(),
    )


@torch.no_grad()
def accuracy(backbone, head, data):
    backbone.eval(), head.eval()
    x, y = data.tensors
    return (head(backbone(x)).argmax(1) == y).float().mean().item()


def train(backbone, head, data, optimizer, epochs, batch_size, frozen=False):
    loss_fn = nn.CrossEntropyLoss()
    loader = DataLoader(data, batch_size=batch_size, shuffle=True, drop_last=True)
    history = []
    for _ in range(epochs):
        backbone.train(not frozen)
        head.train()
        for xb, yb in loader:
            loss = loss_fn(head(backbone(xb)), yb)
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
            history.append(loss.item())
    return np.mean(history[:len(loader)]), np.mean(history[-len(loader):])


def main():
    torch.manual_seed(SEED)
    pre_train, pre_val, few, val, test = load()

    backbone, old_head = make_backbone(), nn.Linear(256, 6)
    optimizer = torch.optim.Adam([*backbone.parameters(), *old_head.parameters()], lr=1e-3)
    first, last = train(backbone, old_head, pre_train, optimizer, epochs=12, batch_size=64)
    print(f"pretraining: loss {first:.3f} -> {last:.3f}, held-out {accuracy(backbone, old_head, pre_val):.3f}")

    head = nn.Sequential(nn.Dropout(0.2), nn.Linear(256, 4))
    for p in backbone.parameters():
        p.requires_grad_(False)
    optimizer = torch.optim.Adam(head.parameters(), lr=3e-3)
    first, last = train(backbone, head, few, optimizer, epochs=25, batch_size=20, frozen=True)
    probe = accuracy(backbone, head, test)
    print(f"new head only: loss {first:.3f} -> {last:.3f}, validation {accuracy(backbone, head, val):.3f}")

    for p in backbone.parameters():
        p.requires_grad_(True)
    optimizer = torch.optim.AdamW([
        {"params": backbone.parameters(), "lr": 2e-4},
        {"params": head.parameters(), "lr": 1e-3},
    ], weight_decay=1e-2)
    best, best_state = accuracy(backbone, head, val), copy.deepcopy((backbone.state_dict(), head.state_dict()))
    for round_ in range(6):
        first, last = train(backbone, head, few, optimizer, epochs=5, batch_size=20)
        score = accuracy(backbone, head, val)
        print(f"all layers, round {round_}: loss {last:.3f}, validation {score:.3f}")
        if score > best:
            best, best_state = score, copy.deepcopy((backbone.state_dict(), head.state_dict()))
    backbone.load_state_dict(best_state[0])
    head.load_state_dict(best_state[1])
    print(f"head only test accuracy {probe:.4f}")
    print(f"fine-tuned test accuracy {accuracy(backbone, head, test):.4f} (chance 0.25)")


if __name__ == "__main__":
    main()
