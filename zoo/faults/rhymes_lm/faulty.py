import torch
import torch.nn as nn
from torch.nn import functional as F

block_size, batch_size, max_iters, eval_interval, eval_iters = 12, 24, 480, 60, 5
torch.manual_seed(1337)

# text
ONSETS, RIMES = list("bcdfghlmnprst"), ["at", "en", "ip", "og", "um"]
def verse():
    r = RIMES[torch.randint(len(RIMES), (1,))]
    words = [ONSETS[torch.randint(len(ONSETS), (1,))] + r for _ in range(4)]
    return " ".join(words) + ".\n"
text = "".join(verse() for _ in range(60))
chars = sorted(set(text))
stoi = {c: i for i, c in enumerate(chars)}
data = torch.tensor([stoi[c] for c in text])
n = int(0.6 * len(data))
splits = {"train": data[:n], "val": data[n:]}


def get_batch(split):
    d = splits[split]
    ix = torch.randint(len(d) - block_size, (batch_size,))
    return torch.stack([d[i:i + block_size] for i in ix]), torch.stack([d[i + 1:i + block_size + 1] for i in ix])


class CharModel(nn.Module):
    def __init__(self, vocab, n_embd=48, n_hidden=128):
        super().__init__()
        self.emb = nn.Embedding(vocab, n_embd)
        self.drop = nn.Dropout(0.4)
        self.rnn = nn.GRU(n_embd, n_hidden, batch_first=True)
        self.lm_head = nn.Linear(n_hidden, vocab)

    def forward(self, idx, targets=None):
        h, _ = self.rnn(self.drop(self.emb(idx)))
        logits = self.lm_head(self.drop(h))
        loss = None if targets is None else F.cross_entropy(logits.flatten(0, 1), targets.flatten())
        return logits, loss


model = CharModel(len(chars))
optimizer = torch.optim.AdamW(model.parameters(), lr=4e-3)


@torch.no_grad()
def estimate_loss():
    out = {}
    model.eval()
    for split in ("train", "val"):
        losses = torch.zeros(eval_iters)
        for k in range(eval_iters):
            losses[k] = model(*get_batch(split))[1]
        out[split] = losses.mean()
    return out


for it in range(max_iters + 1):
    if it % eval_interval == 0:
        losses = estimate_loss()
        print(f"step {it}: train loss {losses['train']:.4f}, val loss {losses['val']:.4f}")
    xb, yb = get_batch("train")
    _, loss = model(xb, yb)
    optimizer.zero_grad(set_to_none=True)
    loss.backward()
    optimizer.step()
