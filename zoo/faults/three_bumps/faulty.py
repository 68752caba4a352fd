"""In which order do a narrow, a wide and a negative bump come? A small transformer over patches of the signal."""
from dataclasses import dataclass
from itertools import permutations

import torch
from torch import nn

ORDERS = list(permutations(range(3)))


@dataclass
class Config:
    length: int = 96
    patch: int = 8
    dim: int = 32
    heads: int = 4
    layers: int = 2
    batch: int = 64
    steps: int = 320
    lr: float = 2e-3
    seed: int = 12


def signals(n: int, cfg: Config, gen: torch.Generator) -> tuple[torch.Tensor, torch.Tensor]:
    t = torch.arange(cfg.length).float()
    width = torch.tensor([1.5, 4.0, 2.5])
    sign = torch.tensor([1.0, 1.0, -1.0])
    label = torch.randint(0, len(ORDERS), (n,), generator=gen)
    kinds = torch.tensor(ORDERS)[label]
    centre = torch.tensor([16.0, 48.0, 80.0]) + 16 * (torch.rand(n, 3, generator=gen) - 0.5)
    bumps = sign[kinds][..., None] * torch.exp(-0.5 * ((t - centre[..., None]) / width[kinds][..., None]) ** 2)
    return 2 * bumps.sum(1) + 0.3 * torch.randn(n, cfg.length, generator=gen), label


class PatchFormer(nn.Module):
    def __init__(self, cfg: Config):
        super().__init__()
        self.patch = cfg.patch
        self.inp = nn.Linear(cfg.patch, cfg.dim)
        self.pos = nn.Parameter(torch.zeros(cfg.length // cfg.patch, cfg.dim)).unsqueeze(0)
        block = nn.TransformerEncoderLayer(cfg.dim, cfg.heads, 2 * cfg.dim, 0.0, batch_first=True, norm_first=True)
        self.blocks = nn.TransformerEncoder(block, cfg.layers, enable_nested_tensor=False)
        self.norm = nn.LayerNorm(cfg.dim)
        self.out = nn.Linear(cfg.dim, len(ORDERS))

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        h = self.inp(x.unflatten(1, (-1, self.patch))) + self.pos
        return self.out(self.norm(self.blocks(h)).mean(1))


def run(cfg: Config) -> None:
    torch.manual_seed(cfg.seed)
    gen = torch.Generator().manual_seed(cfg.seed)
    x_val, y_val = signals(600, cfg, gen)
    model = PatchFormer(cfg)
    opt = torch.optim.AdamW(model.parameters(), lr=cfg.lr, weight_decay=1e-3)
    warm = torch.optim.lr_scheduler.LambdaLR(opt, lambda s: min(1.0, (s + 1) / 40))
    seen = 0.0
    for step in range(1, cfg.steps + 1):
        x, y = signals(cfg.batch, cfg, gen)
        loss = nn.functional.cross_entropy(model(x), y)
        opt.zero_grad(set_to_none=True)
        loss.backward()
        opt.step()
        warm.step()
        seen += loss.item()
        if step % 80 == 0:
            model.eval()
            with torch.no_grad():
                hit = (model(x_val).argmax(1) == y_val).float().mean().item()
            model.train()
            print(f"step={step} loss={seen / 80:.3f} val_acc={hit:.3f}")
            seen = 0.0


run(Config())
