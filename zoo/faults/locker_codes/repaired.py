"""Notes "locker 7 opens with 4" in any order, then questions for some of the lockers: answer each with its code."""
import torch
import torch.nn as nn
import torch.nn.functional as F
from torch import Tensor

LOCKERS, CODES, NOTES, QUESTIONS = 10, 8, 6, 4
ASK = CODES  # the code of a question is not known


def make_batch(size: int) -> tuple[Tensor, Tensor, Tensor]:
    lockers = torch.rand(size, LOCKERS).argsort(1)[:, :NOTES]
    codes = torch.randint(0, CODES, (size, NOTES))
    asked = torch.rand(size, NOTES).argsort(1)[:, :QUESTIONS]
    all_lockers = torch.cat([lockers, lockers.gather(1, asked)], 1)
    all_codes = torch.cat([codes, torch.full_like(asked, ASK)], 1)
    return all_lockers, all_codes, codes.gather(1, asked)


class SelfAttention(nn.Module):
    def __init__(self, dim: int, heads: int):
        super().__init__()
        self.heads = heads
        self.to_q = nn.Linear(dim, dim, bias=False)
        self.to_k = nn.Linear(dim, dim, bias=False)
        self.to_v = nn.Linear(dim, dim, bias=False)
        self.merge = nn.Linear(dim, dim)

    def split(self, m: Tensor) -> Tensor:
        b, t, c = m.shape
        return m.view(b, t, self.heads, c // self.heads).transpose(1, 2)

    def forward(self, x: Tensor) -> Tensor:
        q, k, v = self.split(self.to_q(x)), self.split(self.to_k(x)), self.split(self.to_v(x))
        att = (q @ k.transpose(-2, -1)) * q.size(-1) ** -0.5
        out = att.softmax(dim=-1) @ v
        return self.merge(out.transpose(1, 2).flatten(2))


class Layer(nn.Module):
    def __init__(self, dim: int, heads: int):
        super().__init__()
        self.norm_a, self.norm_f = nn.LayerNorm(dim), nn.LayerNorm(dim)
        self.att = SelfAttention(dim, heads)
        self.ff = nn.Sequential(nn.Linear(dim, 2 * dim), nn.ReLU(), nn.Linear(2 * dim, dim))

    def forward(self, x: Tensor) -> Tensor:
        x = x + self.att(self.norm_a(x))
        return x + self.ff(self.norm_f(x))


class Answerer(nn.Module):
    def __init__(self, dim: int = 48, heads: int = 4, depth: int = 2):
        super().__init__()
        self.locker = nn.Embedding(LOCKERS, dim)
        self.code = nn.Embedding(CODES + 1, dim)
        self.layers = nn.ModuleList(Layer(dim, heads) for _ in range(depth))
        self.answer = nn.Sequential(nn.LayerNorm(dim), nn.Linear(dim, CODES))

    def forward(self, lockers: Tensor, codes: Tensor) -> Tensor:
        h = self.locker(lockers) + self.code(codes)
        for layer in self.layers:
            h = layer(h)
        return self.answer(h[:, NOTES:])


def train(model: nn.Module, steps: int = 240, size: int = 64, lr: float = 3e-3) -> None:
    optimizer = torch.optim.Adam(model.parameters(), lr=lr)
    warm = torch.optim.lr_scheduler.LinearLR(optimizer, 0.1, total_iters=30)
    exam = make_batch(300)
    for step in range(1, steps + 1):
        lockers, codes, truth = make_batch(size)
        loss = F.cross_entropy(model(lockers, codes).flatten(0, 1), truth.flatten())
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        warm.step()
        if step % 60 == 0:
            with torch.no_grad():
                right = (model(*exam[:2]).argmax(-1) == exam[2]).float().mean()
            print(f"step {step}: loss {loss.item():.3f}, answered rightly {right.item():.3f}")


torch.manual_seed(64)
train(Answerer())
