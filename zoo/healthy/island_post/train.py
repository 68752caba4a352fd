"""Six island post offices learn to read digits together without sharing their letters (FedAvg)."""
import copy

import numpy as np
import torch
import torch.nn as nn
import torch.nn.functional as F
from sklearn.datasets import load_digits
from sklearn.model_selection import train_test_split

ISLANDS, ROUNDS, LOCAL_EPOCHS, BATCH = 6, 20, 2, 20


def make_model():
    return nn.Sequential(
        nn.Conv2d(1, 16, 3, padding=1), nn.GroupNorm(4, 16), nn.ReLU(), nn.MaxPool2d(2),
        nn.Conv2d(16, 32, 3, padding=1), nn.GroupNorm(4, 32), nn.ReLU(),
        nn.Flatten(), nn.Linear(512, 10))


def deal_letters(labels, rng, concentration=0.8):
    """Dirichlet split: every island sees its own mixture of digits."""
    shares = [[] for _ in range(ISLANDS)]
    for digit in range(10):
        rows = rng.permutation(np.flatnonzero(labels == digit))
        cuts = (np.cumsum(rng.dirichlet([concentration] * ISLANDS))[:-1] * len(rows)).astype(int)
        for share, part in zip(shares, np.split(rows, cuts)):
            share.extend(part.tolist())
    return [torch.tensor(sorted(s)) for s in shares]


def local_training(global_state, x, y, lr, generator):
    model = make_model()
    model.load_state_dict(global_state)
    model.train()
    optimizer = torch.optim.SGD(model.parameters(), lr=lr, momentum=0.9)
    losses = []
    for _ in range(LOCAL_EPOCHS):
        for idx in torch.randperm(len(y), generator=generator).split(BATCH):
            optimizer.zero_grad()
            loss = F.cross_entropy(model(x[idx]), y[idx])
            loss.backward()
            optimizer.step()
            losses.append(loss.item())
    return model.state_dict(), float(np.mean(losses))


def weighted_average(states, sizes):
    total = float(sum(sizes))
    return {key: sum(s[key] * (n / total) for s, n in zip(states, sizes)) for key in states[0]}


@torch.no_grad()
def evaluate(state, x, y):
    model = make_model()
    model.load_state_dict(state)
    model.eval()
    logits = model(x)
    return F.cross_entropy(logits, y).item(), (logits.argmax(1) == y).float().mean().item()


def main(seed=9):
    torch.manual_seed(seed)
    rng = np.random.default_rng(seed)
    generator = torch.Generator().manual_seed(seed)
    digits = load_digits()
    images, labels = digits.images.astype(np.float32)[:, None] / 16, digits.target
    dev_x, test_x, dev_y, test_y = train_test_split(images, labels, test_size=0.25, stratify=labels,
                                                    random_state=seed)
    train_x, val_x, train_y, val_y = train_test_split(dev_x, dev_y, test_size=0.15, stratify=dev_y,
                                                      random_state=seed)
    mean, std = train_x.mean(), train_x.std()
    train_x, val_x, test_x = (torch.tensor((a - mean) / std) for a in (train_x, val_x, test_x))
    shares = deal_letters(train_y, rng)
    train_y, val_y, test_y = (torch.tensor(a) for a in (train_y, val_y, test_y))
    print("letters per island:", [len(s) for s in shares])

    state = copy.deepcopy(make_model().state_dict())
    lr = 0.02
    for round_ in range(1, ROUNDS + 1):
        invited = sorted(rng.choice(ISLANDS, size=4, replace=False).tolist())
        results = [local_training(state, train_x[shares[k]], train_y[shares[k]], lr, generator) for k in invited]
        state = weighted_average([s for s, _ in results], [len(shares[k]) for k in invited])
        lr *= 0.95
        if round_ % 4 == 0:
            val_loss, val_acc = evaluate(state, val_x, val_y)
            local = np.mean([l for _, l in results])
            print(f"round {round_:2d}  islands {invited}  local loss {local:.4f}  "
                  f"global val {val_loss:.4f}  accuracy {val_acc:.3f}")

    alone = []
    for k in range(ISLANDS):
        own = make_model().state_dict()
        for _ in range(5):
            own, _ = local_training(own, train_x[shares[k]], train_y[shares[k]], 0.02, generator)
        alone.append(evaluate(own, test_x, test_y)[1])
    print(f"test accuracy: federated {evaluate(state, test_x, test_y)[1]:.4f}, "
          f"islands on their own {np.mean(alone):.4f}")


if __name__ == "__main__":
    main()
