"""Pretrain a tiny letter model on the abbey's scribe, then adapt it with LoRA to the coastal scribe."""
from dataclasses import dataclass

import numpy as np
import torch
import torch.nn as nn
import torch.nn.functional as F

torch.manual_seed(23)
rng = np.random.default_rng(23)

CTX = 12
WORDS = ["".join(rng.choice(list("ptkmnsrl")) + rng.choice(list("aeiou")) for _ in range(rng.integers(1, 4)))
         + rng.choice(["", "n", "s", "r"]) for _ in range(70)]
COASTAL = str.maketrans({"p": "f", "t": "d", "k": "g", "s": "z", "a": "o", "o": "u"})
ALPHABET = " abcdefghijklmnopqrstuvwxyz"
CODE = {c: i for i, c in enumerate(ALPHABET)}
freq = rng.dirichlet(np.ones(len(WORDS)) * 0.7)


def manuscript(n_words, coastal):
    words = [WORDS[i] for i in rng.choice(len(WORDS), n_words, p=freq)]
    if coastal:
        words = [w.translate(COASTAL) + ("e" if w[-1] in "nsr" else "") for w in words]
    ids = torch.tensor([CODE[c] for c in " ".join(words)])
    return ids.unfold(0, CTX + 1, 1)


class LoRALinear(nn.Module):
    def __init__(self, base, rank=6, alpha=12):
        super().__init__()
        self.base = base
        self.scale = alpha / rank
        self.lora_a = nn.Parameter(torch.randn(rank, base.in_features) / base.in_features ** 0.5)
        self.lora_b = nn.Parameter(torch.zeros(base.out_features, rank))

    def forward(self, x):
        return self.base(x) + self.scale * (x @ self.lora_a.T) @ self.lora_b.T


class LetterModel(nn.Module):
    def __init__(self, dim=48):
        super().__init__()
        self.emb = nn.Embedding(len(ALPHABET), dim)
        self.pos = nn.Parameter(torch.randn(CTX, dim) * 0.02)
        self.qkv = nn.Linear(dim, 3 * dim)
        self.out = nn.Linear(dim, dim)
        self.up, self.down = nn.Linear(dim, 2 * dim), nn.Linear(2 * dim, dim)
        self.n1, self.n2, self.n3 = nn.LayerNorm(dim), nn.LayerNorm(dim), nn.LayerNorm(dim)
        self.head = nn.Linear(dim, len(ALPHABET))

    def forward(self, ids):
        h = self.emb(ids) + self.pos
        q, k, v = self.qkv(self.n1(h)).chunk(3, -1)
        h = h + self.out(F.scaled_dot_product_attention(q, k, v, is_causal=True))
        h = h + self.down(F.gelu(self.up(self.n2(h))))
        return self.head(self.n3(h))


@dataclass
class TrainerConfig:
    lr: float = 3e-3
    steps: int = 500
    batch: int = 32
    zero_grad: bool = False
    name: str = "run"


class Trainer:
    def __init__(self, model, config):
        self.model, self.cfg = model, config
        trainable = [p for p in model.parameters() if p.requires_grad]
        self.optimizer = torch.optim.AdamW(trainable, lr=config.lr, weight_decay=0.01)

    def loss(self, rows):
        logits = self.model(rows[:, :-1])
        return F.cross_entropy(logits.flatten(0, 1), rows[:, 1:].flatten())

    def train(self, data):
        self.model.train()
        for step in range(self.cfg.steps):
            loss = self.loss(data[torch.randint(len(data), (self.cfg.batch,))])
            if self.cfg.zero_grad:
                self.optimizer.zero_grad()
            loss.backward()
            self.optimizer.step()
            if step % 100 == 99:
                print(f"{self.cfg.name} step {step + 1} loss {loss.item():.3f}")

    def evaluate(self, data):
        self.model.eval()
        with torch.no_grad():
            return self.loss(data).item()


abbey, coast, coast_test = manuscript(4000, False), manuscript(2500, True), manuscript(500, True)

model = LetterModel()
base = Trainer(model, TrainerConfig(name="pretrain", zero_grad=True))
base.train(abbey)
print(f"coastal loss before adapting {base.evaluate(coast_test):.4f}")

model.requires_grad_(False)
for part in ("qkv", "out", "up", "down", "head"):
    setattr(model, part, LoRALinear(getattr(model, part)))
adapter = Trainer(model, TrainerConfig(name="lora", steps=600))
adapter.train(coast)
print(f"coastal loss after adapting {adapter.evaluate(coast_test):.4f}")
