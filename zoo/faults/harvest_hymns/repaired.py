import math
import os
import random

import torch
import torch.nn as nn
import torch.nn.functional as F

# ---------------------------------------------------------------- settings
seed = int(os.environ.get("SEED", "0"))
random.seed(seed)
torch.manual_seed(seed)

context = 40
batch_size = 24
steps = 210
n_embd, n_head, n_layer = 48, 4, 2
peak_lr, min_lr, warmup = 4e-3, 2e-4, 30

# ---------------------------------------------------------------- the hymns
who = ["the reaper", "the miller", "the sower", "the old farmer", "my brother", "the maiden"]
what = ["gathers", "carries", "sings over", "blesses", "binds", "counts"]
thing = ["the golden sheaves", "the ripe barley", "the heavy corn", "the last apples", "the yellow straw"]
when = ["at break of day", "before the rain", "when summer ends", "under the moon", "in the cool of the evening"]
refrain = ["glory be for bread and wine\n", "sing ye fields and sing ye hills\n"]


def hymn():
    lines = []
    for _ in range(4):
        lines.append(f"{random.choice(who)} {random.choice(what)} {random.choice(thing)} {random.choice(when)}\n")
    return "".join(lines) + random.choice(refrain) + "\n"


text = "".join(hymn() for _ in range(220))
chars = sorted(set(text))
stoi = {c: i for i, c in enumerate(chars)}
ids = torch.tensor([stoi[c] for c in text])
cut = int(0.9 * len(ids))
train_ids, valid_ids = ids[:cut], ids[cut:]
print(f"{len(text)} characters, {len(chars)} different")


def get_batch(split):
    src = train_ids if split == "train" else valid_ids
    at = torch.randint(len(src) - context - 1, (batch_size,))
    x = torch.stack([src[i:i + context] for i in at])
    y = torch.stack([src[i + 1:i + context + 1] for i in at])
    return x, y


# ---------------------------------------------------------------- model
class RMSNorm(nn.Module):
    def __init__(self, d):
        super().__init__()
        self.g = nn.Parameter(torch.ones(d))

    def forward(self, x):
        return self.g * x / torch.sqrt(x.square().mean(-1, keepdim=True) + 1e-6)


class CausalSelfAttention(nn.Module):
    def __init__(self):
        super().__init__()
        self.c_attn = nn.Linear(n_embd, 3 * n_embd, bias=False)
        self.c_proj = nn.Linear(n_embd, n_embd, bias=False)
        self.register_buffer("mask", torch.tril(torch.ones(context, context)).bool())

    def forward(self, x):
        B, T, C = x.shape
        q, k, v = self.c_attn(x).split(n_embd, dim=2)
        q, k, v = (m.view(B, T, n_head, C // n_head).transpose(1, 2) for m in (q, k, v))
        att = q @ k.transpose(-2, -1) / math.sqrt(C // n_head)
        att = att.masked_fill(~self.mask[:T, :T], float("-inf")).softmax(-1)
        return self.c_proj((att @ v).transpose(1, 2).contiguous().view(B, T, C))


class Block(nn.Module):
    def __init__(self):
        super().__init__()
        self.ln1, self.ln2, self.attn = RMSNorm(n_embd), RMSNorm(n_embd), CausalSelfAttention()
        self.mlp = nn.Sequential(nn.Linear(n_embd, 3 * n_embd), nn.GELU(), nn.Linear(3 * n_embd, n_embd))

    def forward(self, x):
        x = x + self.attn(self.ln1(x))
        return x + self.mlp(self.ln2(x))


class HymnModel(nn.Module):
    def __init__(self, vocab):
        super().__init__()
        self.wte = nn.Embedding(vocab, n_embd)
        self.wpe = nn.Embedding(context, n_embd)
        self.h = nn.ModuleList(Block() for _ in range(n_layer))
        self.ln = RMSNorm(n_embd)
        self.lm_head = nn.Linear(n_embd, vocab, bias=False)

    def forward(self, idx):
        x = self.wte(idx) + self.wpe(torch.arange(idx.shape[1]))
        for block in self.h:
            x = block(x)
        # distribution over the next character
        return self.lm_head(self.ln(x))


def loss_on(model, x, y):
    out = model(x)
    return F.cross_entropy(out.view(-1, out.size(-1)), y.view(-1))


@torch.no_grad()
def valid_loss(model, n=12):
    model.eval()
    value = sum(loss_on(model, *get_batch("valid")).item() for _ in range(n)) / n
    model.train()
    return value


@torch.no_grad()
def continue_text(model, start, n=60):
    idx = torch.tensor([[stoi[c] for c in start]])
    for _ in range(n):
        nxt = model(idx[:, -context:])[:, -1].argmax(-1, keepdim=True)
        idx = torch.cat([idx, nxt], dim=1)
    return "".join(chars[i] for i in idx[0].tolist())


def lr_at(step):
    if step < warmup:
        return peak_lr * (step + 1) / warmup
    return min_lr + 0.5 * (peak_lr - min_lr) * (1 + math.cos(math.pi * (step - warmup) / (steps - warmup)))


# ---------------------------------------------------------------- training
model = HymnModel(len(chars))
opt = torch.optim.AdamW(model.parameters(), lr=peak_lr, betas=(0.9, 0.95), weight_decay=0.01)
for step in range(steps):
    for group in opt.param_groups:
        group["lr"] = lr_at(step)
    loss = loss_on(model, *get_batch("train"))
    opt.zero_grad(set_to_none=True)
    loss.backward()
    nn.utils.clip_grad_norm_(model.parameters(), 1.0)
    opt.step()
    if step % 70 == 0:
        print(f"step {step:4d}  train {loss.item():.4f}  valid {valid_loss(model, 4):.4f}")

print(repr(continue_text(model, "the miller ")))
print(f"validation perplexity {math.exp(valid_loss(model)):.3f}")
