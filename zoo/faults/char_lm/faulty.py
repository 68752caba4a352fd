import torch
import torch.nn as nn
import torch.nn.functional as F

WORDS = "the small red fox runs over a big green hill and then it sleeps under an old tree near the river bank".split()


def corpus(n_words, seed):
    g = torch.Generator().manual_seed(seed)
    out, w = [], 0
    for _ in range(n_words):
        out.append(WORDS[w])
        w = (w + 1 + int(torch.randint(0, 2, (1,), generator=g))) % len(WORDS)
    return " ".join(out)


class CharLM(nn.Module):
    def __init__(self, vocab, d=32, h=96, p=0.5):
        super().__init__()
        self.p = p
        self.emb = nn.Embedding(vocab, d)
        self.gru = nn.GRU(d, h, batch_first=True)
        self.out = nn.Linear(h, vocab)

    def forward(self, ids, state=None):
        x = self.emb(ids)
        h, state = self.gru(x, state)
        h = F.dropout(h, self.p)
        return self.out(h), state


def chunks(ids, bs, t, shuffle):
    n = (len(ids) - 1) // t
    starts = torch.arange(n) * t
    if shuffle:
        starts = starts[torch.randperm(n)]
    for s in starts.split(bs):
        win = s[:, None] + torch.arange(t + 1)
        yield ids[win][:, :-1], ids[win][:, 1:]


def evaluate(model, ids):
    model.eval()
    nll = n = 0
    with torch.no_grad():
        for x, y in chunks(ids, 32, 24, False):
            logits, _ = model(x)
            nll += F.cross_entropy(logits.flatten(0, 1), y.flatten(), reduction="sum").item()
            n += y.numel()
    return nll / n


def main():
    torch.manual_seed(1)
    text, held = corpus(3000, 1), corpus(500, 2)
    chars = sorted(set(text))
    enc = lambda s: torch.tensor([chars.index(c) for c in s])
    train, valid = enc(text), enc(held)
    model = CharLM(len(chars))
    opt = torch.optim.AdamW(model.parameters(), lr=5e-3)
    for epoch in range(8):
        model.train()
        tot = k = 0
        for x, y in chunks(train, 32, 24, True):
            logits, _ = model(x)
            loss = F.cross_entropy(logits.flatten(0, 1), y.flatten())
            opt.zero_grad()
            loss.backward()
            nn.utils.clip_grad_norm_(model.parameters(), 1.0)
            opt.step()
            tot, k = tot + loss.item(), k + 1
        print(f"epoch {epoch} train {tot / k:.4f} valid {evaluate(model, valid):.4f} again {evaluate(model, valid):.4f}")


main()
