"""A reader of upright gauges is adapted to tilted ones with low-rank updates (LoRA): the old weights stay as they are."""
import math

import numpy as np
import torch
from sklearn.datasets import load_digits
from torch import nn


class LoRALinear(nn.Module):
    """W x + b of the trained layer, plus scale * B A x. B starts at zero, so the adapted layer starts as the old one."""

    def __init__(self, base: nn.Linear, rank: int, alpha: float):
        super().__init__()
        self.base = base.requires_grad_(False)
        self.scale = alpha / rank
        self.A = nn.Parameter(torch.empty(rank, base.in_features))
        self.B = nn.Parameter(torch.zeros(base.out_features, rank))
        nn.init.kaiming_uniform_(self.A, a=math.sqrt(5))

    def forward(self, x):
        return self.base(x) + self.scale * (x @ self.A.t() @ self.B.t())


def add_lora(model: nn.Module, rank=8, alpha=16.0):
    for name, child in list(model.named_children()):
        if isinstance(child, nn.Linear):
            setattr(model, name, LoRALinear(child, rank, alpha))
        else:
            add_lora(child, rank, alpha)
    return model


def build_reader():
    return nn.Sequential(nn.Linear(64, 128), nn.GELU(), nn.LayerNorm(128), nn.Linear(128, 128), nn.GELU(),
                         nn.LayerNorm(128), nn.Linear(128, 10))


def tilt(flat):
    """Quarter turn to the left."""
    return np.rot90(flat.reshape(-1, 8, 8), axes=(1, 2)).reshape(-1, 64).copy()


def loop(model, x, y, epochs, lr, label):
    params = [p for p in model.parameters() if p.requires_grad]
    print(f"{label}: {sum(p.numel() for p in params)} of {sum(p.numel() for p in model.parameters())} weights are trained")
    opt = torch.optim.AdamW(params, lr=lr, weight_decay=0.01)
    total_steps = epochs * math.ceil(len(x) / 32)
    sched = torch.optim.lr_scheduler.LambdaLR(
        opt, lambda s: min(1.0, (s + 1) / 20) * 0.5 * (1 + math.cos(math.pi * s / total_steps)))
    for epoch in range(1, epochs + 1):
        model.train()
        running = 0.0
        for idx in torch.randperm(len(x)).split(32):
            loss = nn.functional.cross_entropy(model(x[idx]), y[idx])
            opt.zero_grad(set_to_none=True)
            loss.backward()
            opt.step()
            sched.step()
            running += loss.item() * len(idx)
        if epoch % (epochs // 5) == 0:
            print(f"  {label} epoch {epoch:3d} loss {running / len(x):.4f}")


@torch.no_grad()
def accuracy(model, x, y):
    model.eval()
    return (model(x).argmax(1) == y).float().mean().item()


def main():
    torch.manual_seed(19)
    np.random.seed(19)
    d = load_digits()
    flat, target = d.data / 16.0, d.target
    order = np.random.permutation(len(flat))
    a, b, c = order[:900], order[900:1300], order[1300:]
    t = lambda v: torch.tensor(v, dtype=torch.float32)
    y = torch.tensor(target)

    reader = build_reader()
    loop(reader, t(flat[a]), y[a], epochs=30, lr=2e-3, label="upright")
    print(f"upright gauges: accuracy {accuracy(reader, t(flat[c]), y[c]):.4f}")
    print(f"tilted gauges, before adapting: accuracy {accuracy(reader, t(tilt(flat[c])), y[c]):.4f}")

    add_lora(reader)
    loop(reader, t(tilt(flat[b])), y[b], epochs=90, lr=5e-3, label="tilted")
    print(f"tilted gauges, adapted: accuracy {accuracy(reader, t(tilt(flat[c])), y[c]):.4f}")


if __name__ == "__main__":
    main()
