import random

import numpy as np
import torch
import torch.nn as nn
from sklearn.datasets import load_digits
from sklearn.model_selection import train_test_split

# digits cut out of the tally sheets, 8x8
# same net as the keras one: Dense - BatchNormalization - relu, three times

CONFIG = {
    "batch_size": 64,
    "epochs": 24,
    "lr": 0.001,
    "hidden": [128, 128, 64],
    "bn_momentum": 0.99,   # as in keras
    "bn_eps": 1e-3,        # as in keras
}

random.seed(1)
np.random.seed(1)
torch.manual_seed(1)


def load_data():
    d = load_digits()
    x = (d.data / 16.0).astype(np.float32)
    y = d.target.astype(np.int64)
    xtr, xte, ytr, yte = train_test_split(x, y, test_size=0.25, stratify=y,
                                          random_state=np.random.randint(9999))
    return map(torch.from_numpy, (xtr, xte, ytr, yte))


def dense_block(n_in, n_out, cfg):
    lin = nn.Linear(n_in, n_out)
    nn.init.xavier_uniform_(lin.weight)   # glorot_uniform
    nn.init.zeros_(lin.bias)
    return nn.Sequential(
        lin,
        nn.BatchNorm1d(n_out, eps=cfg["bn_eps"], momentum=cfg["bn_momentum"]),
        nn.ReLU(),
    )


def build_model(cfg, n_in=64, n_classes=10):
    blocks = []
    for h in cfg["hidden"]:
        blocks.append(dense_block(n_in, h, cfg))
        n_in = h
    blocks.append(nn.Linear(n_in, n_classes))
    return nn.Sequential(*blocks)


def minibatches(x, y, size):
    perm = torch.randperm(len(x))
    for i in range(0, len(x), size):
        idx = perm[i:i + size]
        yield x[idx], y[idx]


def evaluate(model, x, y, loss_fn):
    model.eval()
    with torch.no_grad():
        out = model(x)
        loss = loss_fn(out, y).item()
        acc = (out.argmax(dim=1) == y).float().mean().item()
    return loss, acc


def fit(model, data, cfg):
    xtr, xte, ytr, yte = data
    loss_fn = nn.CrossEntropyLoss()
    opt = torch.optim.Adam(model.parameters(), lr=cfg["lr"])
    history = {"loss": [], "acc": [], "val_loss": [], "val_acc": []}
    for epoch in range(cfg["epochs"]):
        model.train()
        s_loss, s_acc = 0.0, 0
        for xb, yb in minibatches(xtr, ytr, cfg["batch_size"]):
            opt.zero_grad()
            out = model(xb)
            loss = loss_fn(out, yb)
            loss.backward()
            opt.step()
            s_loss += loss.item() * len(xb)
            s_acc += (out.argmax(dim=1) == yb).sum().item()
        vl, va = evaluate(model, xte, yte, loss_fn)
        history["loss"].append(s_loss / len(xtr))
        history["acc"].append(s_acc / len(xtr))
        history["val_loss"].append(vl)
        history["val_acc"].append(va)
        if epoch % 5 == 4:
            print("epoch %2d - loss: %.4f - acc: %.4f - val_loss: %.4f - val_acc: %.4f"
                  % (epoch + 1, history["loss"][-1], history["acc"][-1], vl, va))
    return history


data = list(load_data())
print("train", tuple(data[0].shape), "val", tuple(data[1].shape))
model = build_model(CONFIG)
history = fit(model, data, CONFIG)
print("mean val accuracy of the last 10 epochs: %.4f" % np.mean(history["val_acc"][-10:]))
