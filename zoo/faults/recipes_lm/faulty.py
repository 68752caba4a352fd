import torch
from torch import nn
from torch.nn.utils import clip_grad_norm_

TEXT = ("mix the flour with water. add salt and oil. knead the dough well. let it rest for one hour. "
        "bake it in a hot oven. serve the bread with butter. ") * 30


class Block(nn.Module):
    def __init__(self, d, heads):
        super().__init__()
        self.ln1, self.ln2 = nn.LayerNorm(d), nn.LayerNorm(d)
        self.att = nn.MultiheadAttention(d, heads, batch_first=True)
        self.ff = nn.Sequential(nn.Linear(d, 2 * d), nn.GELU(), nn.Linear(2 * d, d))

    def forward(self, x, mask):
        h = self.ln1(x)
        x = x + self.att(h, h, h, attn_mask=mask, need_weights=False)[0]
        return x + self.ff(self.ln2(x))


class MiniGPT(nn.Module):
    def __init__(self, vocab, ctx=24, d=32):
        super().__init__()
        self.ctx = ctx
        self.tok = nn.Embedding(vocab, d)
        self.pos = nn.Embedding(ctx, d)
        self.blocks = nn.ModuleList([Block(d, 2) for _ in range(2)])
        self.head = nn.Linear(d, vocab)

    def forward(self, ids):
        t = ids.size(1)
        mask = torch.triu(torch.ones(t, t, dtype=torch.bool), 1)
        x = self.tok(ids) + self.pos(torch.arange(t))
        for b in self.blocks:
            x = b(x, mask)
        return self.head(x)


def get_batch(ids, bs, ctx):
    s = torch.randint(0, len(ids) - ctx - 1, (bs,))
    win = ids[s[:, None] + torch.arange(ctx + 1)]
    return win[:, :-1], win[:, 1:]


torch.manual_seed(0)
chars = sorted(set(TEXT))
ids = torch.tensor([chars.index(c) for c in TEXT])
cut = int(len(ids) * 0.9)
model = MiniGPT(len(chars))
opt = torch.optim.SGD(model.parameters(), lr=0.1, momentum=0.9)
max_norm = 0.001
ce = nn.CrossEntropyLoss()
for step in range(1, 501):
    x, y = get_batch(ids[:cut], 32, model.ctx)
    opt.zero_grad()
    loss = ce(model(x).view(-1, len(chars)), y.reshape(-1))
    loss.backward()
    clip_grad_norm_(model.parameters(), max_norm)
    opt.step()
    if step % 50 == 0:
        model.eval()
        with torch.no_grad():
            x, y = get_batch(ids[cut:], 64, model.ctx)
            v = ce(model(x).view(-1, len(chars)), y.reshape(-1)).item()
        model.train()
        print(f"step {step} train {loss.item():.4f} val {v:.4f}")
