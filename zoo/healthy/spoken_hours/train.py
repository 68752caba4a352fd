"""Translate 'twenty to eight in the evening' into 19:40."""
import random

import torch
from torch import nn
from torch.utils.data import DataLoader

ONES = ("zero one two three four five six seven eight nine ten eleven twelve thirteen fourteen fifteen "
        "sixteen seventeen eighteen nineteen").split()
TENS = {20: "twenty", 30: "thirty", 40: "forty", 50: "fifty"}
PAD, BOS, EOS = 0, 1, 2


def number(n):
    if n < 20:
        return [ONES[n]]
    return [TENS[n - n % 10]] + ([ONES[n % 10]] if n % 10 else [])


def phrases(h, m):
    part = "morning" if h < 12 else "afternoon" if h < 18 else "evening"
    tail = ["in", "the", part]
    hour, nxt = number((h - 1) % 12 + 1), number(h % 12 + 1)
    if m == 0:
        return [hour + ["o'clock"] + tail]
    out = [hour + number(m) + tail]
    if m <= 30:
        out.append({15: ["quarter"], 30: ["half"]}.get(m, number(m)) + ["past"] + hour + tail)
    else:
        out.append({45: ["quarter"]}.get(m, number(60 - m)) + ["to"] + nxt + tail)
    return out


def build_pairs(seed):
    times = [(h, m) for h in range(24) for m in range(60)]
    random.Random(seed).shuffle(times)
    parts = times[:1100], times[1100:1250], times[1250:]
    return [[(p, f"{h:02d}:{m:02d}") for h, m in part for p in phrases(h, m)] for part in parts]


class Codec:
    def __init__(self, pairs):
        words = sorted({w for p, _ in pairs for w in p})
        self.src = {w: i + 3 for i, w in enumerate(words)}
        self.tgt = {c: i + 3 for i, c in enumerate("0123456789:")}
        self.inv = {i: c for c, i in self.tgt.items()}

    def collate(self, batch):
        src = [torch.tensor([self.src[w] for w in p]) for p, _ in batch]
        tgt = [torch.tensor([BOS] + [self.tgt[c] for c in s] + [EOS]) for _, s in batch]
        pad = nn.utils.rnn.pad_sequence
        return pad(src, batch_first=True), pad(tgt, batch_first=True)


class Translator(nn.Module):
    def __init__(self, n_src, n_tgt, d=64):
        super().__init__()
        self.src_emb, self.tgt_emb = nn.Embedding(n_src, d, PAD), nn.Embedding(n_tgt, d, PAD)
        self.src_pos, self.tgt_pos = nn.Embedding(16, d), nn.Embedding(8, d)
        self.core = nn.Transformer(d, 4, 2, 2, 128, dropout=0.1, batch_first=True)
        self.out = nn.Linear(d, n_tgt)

    def forward(self, src, tgt):
        mask = nn.Transformer.generate_square_subsequent_mask(tgt.size(1)).isinf()
        s = self.src_emb(src) + self.src_pos(torch.arange(src.size(1)))
        t = self.tgt_emb(tgt) + self.tgt_pos(torch.arange(tgt.size(1)))
        h = self.core(s, t, tgt_mask=mask, src_key_padding_mask=src == PAD,
                      memory_key_padding_mask=src == PAD, tgt_key_padding_mask=tgt == PAD)
        return self.out(h)

    @torch.no_grad()
    def greedy(self, src, length=6):
        out = torch.full((len(src), 1), BOS)
        for _ in range(length):
            out = torch.cat([out, self(src, out)[:, -1:].argmax(-1)], dim=1)
        return out


class Seq2SeqTrainer:
    def __init__(self, model, lr=2e-3, warmup=100, total=1000):
        self.model = model
        self.loss_fn = nn.CrossEntropyLoss(ignore_index=PAD, label_smoothing=0.05)
        self.opt = torch.optim.AdamW(model.parameters(), lr=lr, betas=(0.9, 0.98))
        self.sched = torch.optim.lr_scheduler.SequentialLR(self.opt, [
            torch.optim.lr_scheduler.LinearLR(self.opt, 0.05, 1.0, warmup),
            torch.optim.lr_scheduler.CosineAnnealingLR(self.opt, total - warmup)], [warmup])

    def step(self, src, tgt):
        logits = self.model(src, tgt[:, :-1])
        loss = self.loss_fn(logits.flatten(0, 1), tgt[:, 1:].flatten())
        self.opt.zero_grad()
        loss.backward()
        nn.utils.clip_grad_norm_(self.model.parameters(), 1.0)
        self.opt.step()
        self.sched.step()
        return loss.item()

    def exact(self, loader):
        self.model.eval()
        hits = n = 0
        for src, tgt in loader:
            hits += (self.model.greedy(src) == tgt).all(dim=1).sum().item()
            n += len(src)
        return hits / n


def main(epochs=9):
    torch.manual_seed(0)
    torch.backends.mha.set_fastpath_enabled(False)
    train, val, test = build_pairs(seed=0)
    codec = Codec(train)
    loader = DataLoader(train, 64, shuffle=True, collate_fn=codec.collate)
    model = Translator(len(codec.src) + 3, len(codec.tgt) + 3)
    trainer = Seq2SeqTrainer(model, total=epochs * len(loader))
    val_loader = DataLoader(val, 256, collate_fn=codec.collate)
    for epoch in range(epochs):
        model.train()
        losses = [trainer.step(*batch) for batch in loader]
        if epoch % 3 == 2:
            print(f"epoch {epoch + 1} loss {sum(losses) / len(losses):.3f} val exact {trainer.exact(val_loader):.3f}")
    exact = trainer.exact(DataLoader(test, 256, collate_fn=codec.collate))
    print(f"exact match on unseen times: {exact:.4f}")


if __name__ == "__main__":
    main()
