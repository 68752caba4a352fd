"""Digits cut out of photographs of the plates of buses, with a tiny ViT. Recipe after timm's train.py."""
import math
import os
import random

import numpy as np
import torch
import torch.nn as nn
from sklearn.datasets import load_digits
from sklearn.model_selection import train_test_split

RECIPE = {
    "model": {"dim": 48, "depth": 2, "heads": 4, "patch": 2, "drop": 0.0},
    "opt": "adam",
    "lr": 2e-3,
    "min_lr": 1e-5,
    "weight_decay": 0.05,
    "opt_betas": (0.9, 0.999),
    "warmup_epochs": 2,
    "epochs": 10,
    "batch_size": 64,
    "clip_grad": 1.0,
    "smoothing": 0.1,
}


class Attention(nn.Module):
    def __init__(self, dim, heads):
        super().__init__()
        self.heads = heads
        self.qkv = nn.Linear(dim, dim * 3)
        self.proj = nn.Linear(dim, dim)

    def forward(self, x):
        B, N, C = x.shape
        q, k, v = self.qkv(x).reshape(B, N, 3, self.heads, C // self.heads).permute(2, 0, 3, 1, 4)
        attn = (q @ k.transpose(-2, -1)) * (C // self.heads) ** -0.5
        x = (attn.softmax(dim=-1) @ v).transpose(1, 2).reshape(B, N, C)
        return self.proj(x)


class Block(nn.Module):
    def __init__(self, dim, heads, drop):
        super().__init__()
        self.norm1, self.norm2 = nn.LayerNorm(dim), nn.LayerNorm(dim)
        self.attn = Attention(dim, heads)
        self.mlp = nn.Sequential(nn.Linear(dim, 2 * dim), nn.GELU(), nn.Dropout(drop), nn.Linear(2 * dim, dim))

    def forward(self, x):
        x = x + self.attn(self.norm1(x))
        return x + self.mlp(self.norm2(x))


class TinyViT(nn.Module):
    def __init__(self, dim, depth, heads, patch, drop, size=8, classes=10):
        super().__init__()
        self.patch_embed = nn.Conv2d(1, dim, patch, stride=patch)
        self.pos_embed = nn.Parameter(torch.zeros(1, (size // patch) ** 2, dim))
        self.blocks = nn.Sequential(*[Block(dim, heads, drop) for _ in range(depth)])
        self.norm = nn.LayerNorm(dim)
        self.head = nn.Linear(dim, classes)
        nn.init.trunc_normal_(self.pos_embed, std=0.02)

    def forward(self, x):
        x = self.patch_embed(x).flatten(2).transpose(1, 2) + self.pos_embed
        return self.head(self.norm(self.blocks(x)).mean(1))


def param_groups_weight_decay(model, weight_decay, skip=("pos_embed",)):
    decay, no_decay = [], []
    for name, p in model.named_parameters():
        (no_decay if p.ndim <= 1 or name in skip else decay).append(p)
    return [{"params": no_decay, "weight_decay": 0.0}, {"params": decay, "weight_decay": weight_decay}]


def create_optimizer(cfg, model):
    groups = param_groups_weight_decay(model, cfg["weight_decay"])
    if cfg["opt"] == "sgd":
        return torch.optim.SGD(groups, lr=cfg["lr"], momentum=0.9, nesterov=True)
    if cfg["opt"] == "adam":
        return torch.optim.Adam(groups, lr=cfg["lr"], betas=cfg["opt_betas"])
    if cfg["opt"] == "adamw":
        return torch.optim.AdamW(groups, lr=cfg["lr"], betas=cfg["opt_betas"])
    raise ValueError(cfg["opt"])


def cosine(cfg, epoch):
    if epoch < cfg["warmup_epochs"]:
        return cfg["lr"] * (epoch + 1) / (cfg["warmup_epochs"] + 1)
    share = (epoch - cfg["warmup_epochs"]) / (cfg["epochs"] - cfg["warmup_epochs"])
    return cfg["min_lr"] + 0.5 * (cfg["lr"] - cfg["min_lr"]) * (1 + math.cos(math.pi * share))


def validate(model, x, y):
    model.eval()
    with torch.inference_mode():
        out = model(x)
        top1 = (out.argmax(1) == y).float().mean().item()
        loss = nn.functional.cross_entropy(out, y).item()
    return {"top1": 100 * top1, "loss": loss}


def main(cfg):
    seed = int(os.environ.get("SEED", "0"))
    random.seed(seed)
    np.random.seed(seed)
    torch.manual_seed(seed)
    images, labels = load_digits(return_X_y=True)
    images = (images.reshape(-1, 1, 8, 8) / 16 - 0.3) / 0.38
    xa, xb, ya, yb = train_test_split(images, labels, test_size=0.25, random_state=seed, stratify=labels)
    xa, xb = torch.tensor(xa, dtype=torch.float32), torch.tensor(xb, dtype=torch.float32)
    ya, yb = torch.tensor(ya), torch.tensor(yb)

    model = TinyViT(**cfg["model"])
    optimizer = create_optimizer(cfg, model)
    loss_fn = nn.CrossEntropyLoss(label_smoothing=cfg["smoothing"])
    best = None
    for epoch in range(cfg["epochs"]):
        for g in optimizer.param_groups:
            g["lr"] = cosine(cfg, epoch)
        model.train()
        meter = []
        for idx in torch.randperm(len(xa)).split(cfg["batch_size"]):
            optimizer.zero_grad()
            loss = loss_fn(model(xa[idx]), ya[idx])
            loss.backward()
            nn.utils.clip_grad_norm_(model.parameters(), cfg["clip_grad"])
            optimizer.step()
            meter.append(loss.item())
        metrics = validate(model, xb, yb)
        print(f"Train: {epoch} Loss: {np.mean(meter):.3f}  Val loss: {metrics['loss']:.3f} Acc@1: {metrics['top1']:.2f}")
        best = max(best or 0, metrics["top1"])
    print(f"*** Best metric: {best:.2f}")


if __name__ == "__main__":
    main(RECIPE)
