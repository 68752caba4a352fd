import math
import random

import torch
import torch.nn as nn
import torch.nn.functional as F

PEOPLE = "anna boris clara dmitri".split()
PLACES = "mill market church river".split()
THINGS = "bread salt letter lamp".split()


def story(rng):
    """Somebody goes somewhere, takes something; the end tells again who has what and where."""
    who, other = rng.sample(PEOPLE, 2)
    place, thing = rng.choice(PLACES), rng.choice(THINGS)
    text = f"{who} walked to the {place} and took the {thing} . "
    if rng.random() < 0.5:
        text += f"{other} stayed home . "
    text += f"now {who} has the {thing} at the {place} . "
    return text


rng = random.Random(55)
torch.manual_seed(55)
corpus = "".join(story(rng) for _ in range(3000)).split()
vocab = sorted(set(corpus))
stoi = {w: i for i, w in enumerate(vocab)}
stream = torch.tensor([stoi[w] for w in corpus])
cut = int(0.9 * len(stream))
train_data, val_data = stream[:cut], stream[cut:]
context, width, n_heads, depth = 32, 48, 4, 2


class Attention(nn.Module):
    def __init__(self):
        super().__init__()
        self.qkv = nn.Linear(width, 3 * width)
        self.proj = nn.Linear(width, width)

    def forward(self, x):
        b, t, _ = x.shape
        q, k, v = (m.view(b, t, n_heads, -1).transpose(1, 2) for m in self.qkv(x).chunk(3, dim=-1))
        y = F.scaled_dot_product_attention(q, k, v, is_causal=True)
        return self.proj(y.transpose(1, 2).reshape(b, t, width))


class Block(nn.Module):
    def __init__(self):
        super().__init__()
        self.ln1, self.ln2 = nn.LayerNorm(width), nn.LayerNorm(width)
        self.attn = Attention()
        self.mlp = nn.Sequential(nn.Linear(width, 2 * width), nn.GELU(), nn.Linear(2 * width, width))

    def forward(self, x):
        x = self.attn(self.ln1(x))
        x = x + self.mlp(self.ln2(x))
        return x


class VillageLM(nn.Module):
    def __init__(self):
        super().__init__()
        self.wte = nn.Embedding(len(vocab), width)
        self.wpe = nn.Embedding(context, width)
        self.blocks = nn.Sequential(*[Block() for _ in range(depth)])
        self.ln_f = nn.LayerNorm(width)
        self.lm_head = nn.Linear(width, len(vocab), bias=False)
        self.apply(self._init)

    @staticmethod
    def _init(m):
        if isinstance(m, (nn.Linear, nn.Embedding)):
            nn.init.normal_(m.weight, std=0.05)
        if isinstance(m, nn.Linear) and m.bias is not None:
            nn.init.zeros_(m.bias)

    def forward(self, idx):
        x = self.wte(idx) + self.wpe(torch.arange(idx.size(1)))
        return self.lm_head(self.ln_f(self.blocks(x)))


def get_batch(data, size):
    at = torch.randint(len(data) - context - 1, (size, 1)) + torch.arange(context + 1)
    return data[at[:, :-1]], data[at[:, 1:]]


def lr_at(step, peak=6e-3, warm=20, last=260):
    if step < warm:
        return peak * (step + 1) / warm
    return peak * (0.05 + 0.475 * (1 + math.cos(math.pi * (step - warm) / (last - warm))))


model = VillageLM()
optimizer = torch.optim.AdamW(model.parameters(), lr=6e-3, betas=(0.9, 0.95), weight_decay=0.01)
for step in range(260):
    optimizer.param_groups[0]["lr"] = lr_at(step)
    x, y = get_batch(train_data, 24)
    loss = F.cross_entropy(model(x).flatten(0, 1), y.flatten())
    optimizer.zero_grad(set_to_none=True)
    loss.backward()
    nn.utils.clip_grad_norm_(model.parameters(), 1.0)
    optimizer.step()
    if step % 52 == 51:
        with torch.no_grad():
            x, y = get_batch(val_data, 200)
            val = F.cross_entropy(model(x)[:, 16:].flatten(0, 1), y[:, 16:].flatten())
        print(f"step {step + 1} train {loss.item():.3f} val {val.item():.3f}")
