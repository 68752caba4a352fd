"""Envelope codes: a minimal encoder-decoder transformer that turns sender codes into routing codes."""
import math
from dataclasses import dataclass

import torch
import torch.nn as nn
import torch.nn.functional as F

torch.manual_seed(17)


@dataclass
class Config:
    symbols: int = 12
    length: int = 6
    dim: int = 64
    heads: int = 2
    dropout: float = 0.3
    batch: int = 64
    steps: int = 650
    lr: float = 2e-3
    warmup: int = 50


def envelopes(cfg, n, gen):
    """Routing code: the sender code reversed, every symbol moved on by the first one's parity."""
    src = torch.randint(0, cfg.symbols, (n, cfg.length), generator=gen)
    return src, (src.flip(1) + src[:, :1] % 2) % cfg.symbols


class Attention(nn.Module):
    def __init__(self, dim, heads, dropout):
        super().__init__()
        self.heads, self.dropout = heads, dropout
        self.q, self.kv, self.out = nn.Linear(dim, dim), nn.Linear(dim, 2 * dim), nn.Linear(dim, dim)

    def split(self, x):
        return x.unflatten(-1, (self.heads, -1)).transpose(1, 2)

    def forward(self, x, memory, causal=False):
        k, v = self.kv(memory).chunk(2, -1)
        y = F.scaled_dot_product_attention(self.split(self.q(x)), self.split(k), self.split(v),
                                           dropout_p=self.dropout if self.training else 0.0, is_causal=causal)
        return self.out(y.transpose(1, 2).flatten(2))


class Block(nn.Module):
    def __init__(self, cfg, cross):
        super().__init__()
        d = cfg.dim
        self.attn, self.n1 = Attention(d, cfg.heads, cfg.dropout), nn.LayerNorm(d)
        self.cross, self.n2 = (Attention(d, cfg.heads, cfg.dropout), nn.LayerNorm(d)) if cross else (None, None)
        self.ff, self.n3 = nn.Sequential(nn.Linear(d, 2 * d), nn.GELU(), nn.Linear(2 * d, d)), nn.LayerNorm(d)

    def forward(self, x, memory=None):
        h = self.n1(x)
        x = x + self.attn(h, h, causal=self.cross is not None)
        if self.cross is not None:
            x = x + self.cross(self.n2(x), memory)
        return x + self.ff(self.n3(x))


class Router(nn.Module):
    def __init__(self, cfg):
        super().__init__()
        self.cfg = cfg
        self.bos = cfg.symbols
        self.emb = nn.Embedding(cfg.symbols + 1, cfg.dim)
        self.pos = nn.Parameter(0.1 * torch.randn(cfg.length, cfg.dim))
        self.enc, self.dec = Block(cfg, cross=False), Block(cfg, cross=True)
        self.norm, self.head = nn.LayerNorm(cfg.dim), nn.Linear(cfg.dim, cfg.symbols)

    def embed(self, tok):
        return self.emb(tok) + self.pos[: tok.size(1)]

    def forward(self, src, tgt):
        shifted = F.pad(tgt[:, :-1], (1, 0), value=self.bos)
        return self.head(self.norm(self.dec(self.embed(shifted), self.enc(self.embed(src)))))

    @torch.no_grad()
    def write(self, src):
        memory = self.enc(self.embed(src))
        tok = torch.full((len(src), 1), self.bos)
        for _ in range(self.cfg.length):
            logits = self.head(self.norm(self.dec(self.embed(tok[:, : self.cfg.length]), memory)))
            tok = torch.cat([tok, logits[:, -1:].argmax(-1)], 1)
        return tok[:, 1:]


class Trainer:
    def __init__(self, model, cfg):
        self.model, self.cfg = model, cfg
        self.opt = torch.optim.AdamW(model.parameters(), lr=cfg.lr, weight_decay=0.01)
        self.sched = torch.optim.lr_scheduler.LambdaLR(self.opt, self.lr_factor)
        self.gen = torch.Generator().manual_seed(18)

    def lr_factor(self, step):
        warm, left = step / self.cfg.warmup, (step - self.cfg.warmup) / (self.cfg.steps - self.cfg.warmup)
        return min(warm, 0.5 * (1 + math.cos(math.pi * max(left, 0.0))))

    def fit(self):
        self.model.train()
        for step in range(1, self.cfg.steps + 1):
            src, tgt = envelopes(self.cfg, self.cfg.batch, self.gen)
            loss = F.cross_entropy(self.model(src, tgt).flatten(0, 1), tgt.flatten())
            self.opt.zero_grad()
            loss.backward()
            nn.utils.clip_grad_norm_(self.model.parameters(), 1.0)
            self.opt.step()
            self.sched.step()
            if step % 130 == 0:
                print(f"step {step:4d}  loss {loss.item():.4f}")

    def test(self, n=2000):
        self.model.eval()
        src, tgt = envelopes(self.cfg, n, torch.Generator().manual_seed(7000))
        return (self.model.write(src) == tgt).all(1).float().mean().item()


cfg = Config()
trainer = Trainer(Router(cfg), cfg)
trainer.fit()
print(f"envelopes routed {trainer.test():.3f}")
