# Orchids measured in the glasshouse: species, day of the bloom and scent from
# the same measurements. Small copy of our detection framework (registry,
# build_* functions, runner with a log buffer).
import os
import random
from collections import OrderedDict, defaultdict

import numpy as np
import torch
import torch.nn as nn
import torch.nn.functional as F

seed = int(os.environ.get("SEED", "0"))
random.seed(seed)
np.random.seed(seed)
torch.manual_seed(seed)

HEADS = {}


def register(cls):
    HEADS[cls.__name__] = cls
    return cls


@register
class SpeciesHead(nn.Module):
    def __init__(self, dim, classes):
        super().__init__()
        self.fc = nn.Linear(dim, classes)

    def loss(self, h, target):
        return {"loss_species": F.cross_entropy(self.fc(h), target["species"], reduction="none")}

    def predict(self, h):
        return self.fc(h).argmax(1)


@register
class BloomHead(nn.Module):
    def __init__(self, dim):
        super().__init__()
        self.fc = nn.Linear(dim, 1)

    def loss(self, h, target):
        return {"loss_bloom": F.smooth_l1_loss(self.fc(h)[:, 0], target["bloom"], reduction="none")}

    def predict(self, h):
        return self.fc(h)[:, 0]


@register
class ScentHead(nn.Module):
    def __init__(self, dim):
        super().__init__()
        self.fc = nn.Linear(dim, 1)

    def loss(self, h, target):
        logit = self.fc(h)[:, 0]
        return {"loss_scent": F.binary_cross_entropy_with_logits(
            logit, target["scent"], reduction="none")}

    def predict(self, h):
        return self.fc(h)[:, 0] > 0


cfg = dict(
    model=dict(
        in_dim=16, dim=96,
        heads=[dict(type="SpeciesHead", classes=5), dict(type="BloomHead"), dict(type="ScentHead")],
    ),
    loss_weight=dict(loss_species=1.0, loss_bloom=2.0, loss_scent=0.5),
    optimizer=dict(type="AdamW", lr=2e-3, weight_decay=1e-4),
    lr_config=dict(warmup_iters=50, min_ratio=0.05),
    grad_clip=dict(max_norm=5.0),
    data=dict(n_train=2000, n_val=600, samples_per_batch=64),
    epochs=40,
    log_interval=5,
)


class MultiTaskNet(nn.Module):
    def __init__(self, in_dim, dim, heads):
        super().__init__()
        self.backbone = nn.Sequential(
            nn.Linear(in_dim, dim), nn.LayerNorm(dim), nn.GELU(),
            nn.Linear(dim, dim), nn.LayerNorm(dim), nn.GELU())
        self.heads = nn.ModuleList()
        for head in heads:
            head = dict(head)
            self.heads.append(HEADS[head.pop("type")](dim, **head))

    def forward_train(self, x, target):
        h = self.backbone(x)
        losses = {}
        for head in self.heads:
            losses.update(head.loss(h, target))
        return losses

    def forward_test(self, x):
        h = self.backbone(x)
        return [head.predict(h) for head in self.heads]


def parse_losses(losses):
    """Total loss for the optimizer and plain numbers for the logger."""
    log_vars = OrderedDict()
    for name, value in losses.items():
        log_vars[name] = value.mean().item()
    total = sum(cfg["loss_weight"][name] * value for name, value in log_vars.items())
    log_vars["loss"] = total
    return torch.tensor(total, requires_grad=True), log_vars


def grow_orchids(n, rng, kinds):
    species = rng.integers(0, 5, n)
    x = kinds[species] + rng.normal(0, 1.0, (n, 16))
    bloom = np.tanh(x[:, 0] * x[:, 1]) + 0.5 * np.sin(2 * x[:, 2]) + 0.05 * rng.normal(size=n)
    scent = (x[:, 3] ** 2 + x[:, 4] > 1.0)
    target = dict(species=torch.tensor(species),
                  bloom=torch.tensor(bloom, dtype=torch.float32),
                  scent=torch.tensor(scent, dtype=torch.float32))
    return torch.tensor(x, dtype=torch.float32), target


def lr_at(it, total):
    c = cfg["lr_config"]
    base = cfg["optimizer"]["lr"]
    if it < c["warmup_iters"]:
        return base * (it + 1) / c["warmup_iters"]
    share = (it - c["warmup_iters"]) / (total - c["warmup_iters"])
    return base * (c["min_ratio"] + (1 - c["min_ratio"]) * 0.5 * (1 + np.cos(np.pi * share)))


@torch.no_grad()
def evaluate(model, x, target):
    model.eval()
    species, bloom, scent = model.forward_test(x)
    return dict(
        species=(species == target["species"]).float().mean().item(),
        bloom_mae=(bloom - target["bloom"]).abs().mean().item(),
        scent=(scent.float() == target["scent"]).float().mean().item())


rng = np.random.default_rng(seed)
kinds = rng.normal(0, 0.8, (5, 16))
train_x, train_y = grow_orchids(cfg["data"]["n_train"], rng, kinds)
val_x, val_y = grow_orchids(cfg["data"]["n_val"], rng, kinds)

model = MultiTaskNet(**cfg["model"])
opt_cfg = dict(cfg["optimizer"])
optimizer = getattr(torch.optim, opt_cfg.pop("type"))(model.parameters(), **opt_cfg)

batch = cfg["data"]["samples_per_batch"]
iters = len(train_x) // batch
it = 0
for epoch in range(1, cfg["epochs"] + 1):
    model.train()
    buffer = defaultdict(list)
    order = torch.randperm(len(train_x))
    for i in range(iters):
        idx = order[i * batch:(i + 1) * batch]
        for group in optimizer.param_groups:
            group["lr"] = lr_at(it, iters * cfg["epochs"])
        losses = model.forward_train(train_x[idx], {k: v[idx] for k, v in train_y.items()})
        loss, log_vars = parse_losses(losses)
        optimizer.zero_grad()
        loss.backward()
        nn.utils.clip_grad_norm_(model.parameters(), **cfg["grad_clip"])
        optimizer.step()
        for name, value in log_vars.items():
            buffer[name].append(value)
        it += 1
    if epoch % cfg["log_interval"] == 0:
        logged = ", ".join(f"{k}: {np.mean(v):.4f}" for k, v in buffer.items())
        result = evaluate(model, val_x, val_y)
        print(f"Epoch [{epoch}] {logged} | " + ", ".join(f"{k} {v:.4f}" for k, v in result.items()))

final = evaluate(model, val_x, val_y)
print(f"final species accuracy {final['species']:.4f}")
