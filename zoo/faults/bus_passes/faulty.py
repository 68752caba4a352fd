"""Zone of a bus pass from its printed figure: a body pretrained on figures, a new head on few passes."""
import os
import random
import tempfile

import numpy as np
import torch
import torch.nn as nn
import torch.nn.functional as F
from sklearn.datasets import load_digits

CFG = dict(pretrain_epochs=25, finetune_epochs=120, few=120, lr=3e-3, feat=12)


def seed_everything(seed):
    random.seed(seed)
    np.random.seed(seed)
    torch.manual_seed(seed)


class Body(nn.Module):
    def __init__(self, feat):
        super().__init__()
        self.fc1 = nn.Linear(64, 64)
        self.fc2 = nn.Linear(64, feat)

    def forward(self, x):
        return F.relu(self.fc2(F.relu(self.fc1(x))))


class Reader(nn.Module):
    """What the big machine trained: body and a head for the ten figures."""

    def __init__(self, feat):
        super().__init__()
        self.body = Body(feat)
        self.head = nn.Linear(feat, 10)

    def forward(self, x):
        return self.head(self.body(x))


class ZoneNet(nn.Module):
    def __init__(self, feat, n_zones):
        super().__init__()
        self.backbone = Body(feat)
        self.classifier = nn.Linear(feat, n_zones)

    def forward(self, x):
        return self.classifier(self.backbone(x))


def batches(n, size):
    perm = torch.randperm(n)
    for i in range(0, n, size):
        yield perm[i:i + size]


def pretrain(x, y, path):
    model = nn.DataParallel(Reader(CFG["feat"]))
    opt = torch.optim.Adam(model.parameters(), lr=2e-3)
    for epoch in range(CFG["pretrain_epochs"]):
        for idx in batches(len(x), 50):
            loss = F.cross_entropy(model(x[idx]), y[idx])
            opt.zero_grad()
            loss.backward()
            opt.step()
    acc = (model(x).argmax(1) == y).float().mean().item()
    print(f"pretraining done: loss {loss.item():.4f}, accuracy {acc:.3f}")
    torch.save({"state_dict": model.state_dict(), "epoch": CFG["pretrain_epochs"]}, path)


def load_backbone(model, path):
    checkpoint = torch.load(path)
    # the head of the checkpoint has another shape and is not wanted here
    weights = {k.replace("body.", "backbone."): v for k, v in checkpoint["state_dict"].items() if "head" not in k}
    model.load_state_dict(weights, strict=False)
    print(f"loaded {len(weights)} tensors of epoch {checkpoint['epoch']}")
    for p in model.backbone.parameters():
        p.requires_grad = False
    return model


def main():
    seed = int(os.environ.get("SEED", "0"))
    seed_everything(seed)
    digits = load_digits()
    x = torch.tensor(digits.data / 16.0, dtype=torch.float32)
    y = torch.tensor(digits.target)
    order = torch.randperm(len(x))
    x, y = x[order], y[order]
    zones = torch.tensor([2, 0, 1, 2, 0, 1, 0, 2, 1, 0])[y]  # the company's numbering of zones

    with tempfile.TemporaryDirectory() as folder:
        path = os.path.join(folder, "reader.pth")
        pretrain(x[:1000], y[:1000], path)
        model = load_backbone(ZoneNet(CFG["feat"], 3), path)

    few = CFG["few"]
    x_few, z_few = x[1000:1000 + few], zones[1000:1000 + few]
    x_test, z_test = x[1000 + few:], zones[1000 + few:]
    opt = torch.optim.Adam((p for p in model.parameters() if p.requires_grad), lr=CFG["lr"] * 3)
    for epoch in range(1, CFG["finetune_epochs"] + 1):
        model.train()
        for idx in batches(few, 20):
            loss = F.cross_entropy(model(x_few[idx]), z_few[idx])
            opt.zero_grad()
            loss.backward()
            opt.step()
        if epoch % 20 == 0:
            model.eval()
            with torch.no_grad():
                acc = (model(x_test).argmax(1) == z_test).float().mean().item()
            print(f"fine-tune {epoch:3d} loss {loss.item():.4f} test acc {acc:.3f}")
    print(f"zone accuracy = {acc:.4f}")


if __name__ == "__main__":
    main()
