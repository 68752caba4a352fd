import math

import torch
import torch.nn as nn
import torch.nn.functional as F

DIGITS = 10
BOS = 10
VOCAB = 11
LEN = 10


def progressions(n):
    """Sequences a, b, a+d, b+d, a+2d, ... mod 10, after a start token."""
    a, b = torch.randint(0, DIGITS, (2, n, 1))
    d = torch.randint(1, 4, (n, 1))
    k = torch.arange(LEN // 2)
    seq = torch.stack([(a + d * k) % DIGITS, (b + d * k) % DIGITS], 2).flatten(1)
    return torch.cat([torch.full((n, 1), BOS), seq], 1)


class GPT(nn.Module):
    def __init__(self, d_model=48, n_head=4, n_layer=2):
        super().__init__()
        self.wte = nn.Embedding(VOCAB, d_model)
        self.wpe = nn.Embedding(LEN + 1, d_model)
        layer = nn.TransformerEncoderLayer(
            d_model, n_head, dim_feedforward=2 * d_model, dropout=0.0, activation="gelu", batch_first=True, norm_first=True
        )
        self.blocks = nn.TransformerEncoder(layer, n_layer, norm=nn.LayerNorm(d_model), enable_nested_tensor=False)
        self.head = nn.Linear(d_model, VOCAB, bias=False)

    def forward(self, idx):
        pos = torch.arange(idx.size(1))
        h = self.wte(idx) + self.wpe(pos)
        h = self.blocks(h)
        return self.head(h)


@torch.no_grad()
def complete(model, prompt, steps):
    model.eval()
    idx = prompt
    for _ in range(steps):
        idx = torch.cat([idx, model(idx)[:, -1].argmax(-1, keepdim=True)], 1)
    model.train()
    return idx


def lr_at(step, total, peak=3e-3, warm=30):
    return peak * min(step / warm, 0.5 * (1 + math.cos(math.pi * step / total)) + 0.02)


def main(total=450):
    torch.manual_seed(50)
    model = GPT()
    optimizer = torch.optim.AdamW(model.parameters(), lr=3e-3, weight_decay=0.01)
    held = progressions(200)
    for step in range(1, total + 1):
        for group in optimizer.param_groups:
            group["lr"] = lr_at(step, total)
        seq = progressions(48)
        inp, tgt = seq[:, :-1], seq[:, 1:]
        loss = F.cross_entropy(model(inp).reshape(-1, VOCAB), tgt.reshape(-1))
        optimizer.zero_grad()
        loss.backward()
        torch.nn.utils.clip_grad_norm_(model.parameters(), 1.0)
        optimizer.step()
        if step % 90 == 0:
            made = complete(model, held[:, :5], LEN - 4)
            exact = (made[:, 5:] == held[:, 5:]).float().mean().item()
            print(f"step {step} loss {loss.item():.4f} completed right {exact:.3f}")


if __name__ == "__main__":
    main()
