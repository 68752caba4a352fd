"""Dial log of a vault: which number was dialled first?  It has to be kept in mind through the ones that follow."""
import os
import random
from dataclasses import dataclass

import numpy as np
import torch
import torch.nn as nn
import torch.nn.functional as F


@dataclass
class Config:
    numbers: int = 8
    length: int = 6
    width: int = 48
    batch: int = 64
    rounds: int = 500
    lr: float = 4e-3
    seed: int = int(os.environ.get("SEED", "0"))


def logs(cfg: Config, n: int, gen: torch.Generator):
    tokens = torch.randint(cfg.numbers, (n, cfg.length), generator=gen)
    return tokens, tokens[:, 0]


class DialReader(nn.Module):
    def __init__(self, cfg: Config):
        super().__init__()
        self.embed = nn.Embedding(cfg.numbers, 16)
        self.cell = nn.GRUCell(16, cfg.width)
        self.norm = nn.LayerNorm(cfg.width)
        self.out = nn.Linear(cfg.width, cfg.numbers)
        self.width = cfg.width

    def start(self, n: int):
        return torch.zeros(n, self.width)

    def forward(self, tokens, h):
        x = self.embed(tokens)
        for t in range(tokens.shape[1]):
            # without this: "Trying to backward through the graph a second time"
            h = h.detach()
            h = self.cell(x[:, t], h)
        return self.out(self.norm(h)), h


def accuracy(model, tokens, target):
    model.eval()
    with torch.no_grad():
        logits, _ = model(tokens, model.start(len(tokens)))
    model.train()
    return (logits.argmax(1) == target).float().mean().item()


def main():
    cfg = Config()
    random.seed(cfg.seed)
    np.random.seed(cfg.seed)
    torch.manual_seed(cfg.seed)
    gen = torch.Generator().manual_seed(cfg.seed)

    model = DialReader(cfg)
    opt = torch.optim.Adam(model.parameters(), lr=cfg.lr)
    sched = torch.optim.lr_scheduler.ReduceLROnPlateau(opt, factor=0.5, patience=4)
    test_tokens, test_first = logs(cfg, 800, gen)

    window = []
    for i in range(1, cfg.rounds + 1):
        tokens, first = logs(cfg, cfg.batch, gen)
        logits, h = model(tokens, model.start(cfg.batch))
        loss = F.cross_entropy(logits, first)
        opt.zero_grad()
        loss.backward()
        nn.utils.clip_grad_norm_(model.parameters(), 1.0)
        opt.step()
        window.append(loss.item())
        if i % 50 == 0:
            sched.step(np.mean(window))
            print(f"round {i:4d}  loss {np.mean(window):.4f}  held-out {accuracy(model, test_tokens, test_first):.3f}"
                  f"  lr {opt.param_groups[0]['lr']:.4f}")
            window.clear()
    print(f"recall accuracy {accuracy(model, test_tokens, test_first):.4f}")


if __name__ == "__main__":
    main()
