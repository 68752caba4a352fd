import random
from dataclasses import dataclass

import torch
import torch.nn as nn
import torch.nn.functional as F

ANIMALS = "fox crow lion mouse frog ox hare tortoise wolf crane goat bee ant cock dog cat stag eagle".split()
PLACES = "forest river field barn hill well road garden marsh cave".split()
FOOD = {"fox": "grapes", "crow": "cheese", "lion": "meat", "mouse": "corn", "frog": "flies", "ox": "grass",
        "hare": "clover", "tortoise": "leaves", "wolf": "lamb", "crane": "fish", "goat": "bark", "bee": "honey",
        "ant": "crumbs", "cock": "seeds", "dog": "bones", "cat": "milk", "stag": "moss", "eagle": "rabbit"}  # fmt: skip


def fable(rng):
    a, b = rng.sample(ANIMALS, 2)
    p = rng.choice(PLACES)
    return rng.choice([
        f"the {a} met the {b} in the {p} . the {a} had {FOOD[a]} and the {b} had {FOOD[b]} .",
        f"in the {p} lived the {a} . the {b} came to the {p} and took the {FOOD[a]} from the {a} .",
        f"the {a} asked the {b} for {FOOD[b]} . the {b} said no . then the {a} left the {p} .",
    ]).split()  # fmt: skip


@dataclass
class GPTConfig:
    vocab: int
    context: int = 32
    d: int = 64
    heads: int = 4
    layers: int = 2


class Block(nn.Module):
    def __init__(self, c):
        super().__init__()
        self.heads = c.heads
        self.n1, self.n2 = nn.LayerNorm(c.d), nn.LayerNorm(c.d)
        self.qkv, self.proj = nn.Linear(c.d, 3 * c.d), nn.Linear(c.d, c.d)
        self.mlp = nn.Sequential(nn.Linear(c.d, 4 * c.d), nn.GELU(), nn.Linear(4 * c.d, c.d))

    def forward(self, x):
        n, t, d = x.shape
        q, k, v = self.qkv(self.n1(x)).view(n, t, 3, self.heads, -1).permute(2, 0, 3, 1, 4)
        a = F.scaled_dot_product_attention(q, k, v, is_causal=True)
        x = x + self.proj(a.transpose(1, 2).reshape(n, t, d))
        return x + self.mlp(self.n2(x))


class GPT(nn.Module):
    def __init__(self, c):
        super().__init__()
        self.wte, self.wpe = nn.Embedding(c.vocab, c.d), nn.Embedding(c.context, c.d)
        self.blocks = nn.ModuleList(Block(c) for _ in range(c.layers))
        self.norm = nn.LayerNorm(c.d)
        self.lm_head = nn.Linear(c.d, c.vocab, bias=False)
        self.apply(self._init)
        self.lm_head.weight = self.wte.weight

    def _init(self, m):
        if isinstance(m, (nn.Linear, nn.Embedding)):
            nn.init.normal_(m.weight, std=0.02)
            if getattr(m, "bias", None) is not None:
                nn.init.zeros_(m.bias)

    def forward(self, ids, targets=None):
        h = self.wte(ids) + self.wpe(torch.arange(ids.shape[1]))
        for block in self.blocks:
            h = block(h)
        logits = self.lm_head(self.norm(h))
        return logits if targets is None else F.cross_entropy(logits.flatten(0, 1), targets.flatten())


rng = random.Random(44)
torch.manual_seed(44)
stream = [w for _ in range(1500) for w in fable(rng)]
vocab = {w: i for i, w in enumerate(sorted(set(stream)))}
ids = torch.tensor([vocab[w] for w in stream])
cut = len(ids) * 9 // 10
config = GPTConfig(len(vocab))


def get_batch(part, n=16):
    at = torch.randint(len(part) - config.context - 1, (n,))
    rows = torch.stack([part[i : i + config.context + 1] for i in at])
    return rows[:, :-1], rows[:, 1:]


@torch.no_grad()
def validate(model):
    model.eval()
    value = sum(model(*get_batch(ids[cut:], 64)).item() for _ in range(4)) / 4
    model.train()
    return value


model = GPT(config)
optimizer = torch.optim.AdamW(model.parameters(), lr=1.5e-3, betas=(0.9, 0.95), weight_decay=0.01)
for step in range(1, 401):
    loss = model(*get_batch(ids[:cut]))
    optimizer.zero_grad(set_to_none=True)
    loss.backward()
    nn.utils.clip_grad_norm_(model.parameters(), 1.0)
    optimizer.step()
    if step % 50 == 0 or step == 1:
        print(f"step {step} train {loss.item():.3f} valid {validate(model):.3f}")
