"""Pigeon messages: a GRU encoder-decoder that reads a coded slip back to front and writes the plain order."""
from dataclasses import dataclass

import torch
import torch.nn as nn
import torch.nn.functional as F

torch.manual_seed(11)

ALPHABET, LENGTH = 10, 5
BOS = ALPHABET + 2          # 0..9 letters, 10 and 11 say which cipher was used


@dataclass
class Config:
    dim: int = 96
    lr: float = 4e-3
    batch: int = 96
    steps: int = 600
    clip: float = 1.0
    log_every: int = 150


def slips(n, gen):
    """Slip = cipher flag + letters; the order is the reversed slip, shifted by 1 under cipher 11."""
    letters = torch.randint(0, ALPHABET, (n, LENGTH), generator=gen)
    flag = torch.randint(0, 2, (n, 1), generator=gen)
    plain = (letters.flip(1) + flag) % ALPHABET
    return torch.cat([flag + ALPHABET, letters], 1), plain


class Encoder(nn.Module):
    def __init__(self, vocab, dim):
        super().__init__()
        self.emb = nn.Embedding(vocab, dim)
        self.rnn = nn.GRU(dim, dim, batch_first=True)

    def forward(self, src):
        _, h = self.rnn(self.emb(src))
        return h[0]


class Decoder(nn.Module):
    def __init__(self, vocab, dim):
        super().__init__()
        self.emb = nn.Embedding(vocab, dim)
        self.cell = nn.GRUCell(dim, dim)
        self.out = nn.Linear(dim, ALPHABET)

    def forward(self, h, length, tgt=None):
        tok = torch.full((h.size(0),), BOS, dtype=torch.long)
        logits = []
        for t in range(length):
            h = self.cell(self.emb(tok), h)
            logits.append(self.out(h))
            nxt = logits[-1].argmax(-1) if tgt is None else tgt[:, t]
            tok = nxt.detach()
        return torch.stack(logits, 1)


class Seq2Seq(nn.Module):
    def __init__(self, dim):
        super().__init__()
        self.encoder = Encoder(ALPHABET + 2, dim)
        self.decoder = Decoder(ALPHABET + 3, dim)

    def forward(self, src, tgt=None):
        return self.decoder(self.encoder(src), LENGTH, tgt)


class Trainer:
    def __init__(self, model, cfg):
        self.model, self.cfg = model, cfg
        self.opt = torch.optim.Adam(model.parameters(), lr=cfg.lr)
        self.sched = torch.optim.lr_scheduler.CosineAnnealingLR(self.opt, cfg.steps, eta_min=1e-4)
        self.gen = torch.Generator().manual_seed(12)

    def training_step(self):
        src, tgt = slips(self.cfg.batch, self.gen)
        logits = self.model(src, tgt)
        loss = F.cross_entropy(logits.flatten(0, 1), tgt.flatten())
        self.opt.zero_grad(set_to_none=True)
        loss.backward()
        nn.utils.clip_grad_norm_(self.model.parameters(), self.cfg.clip)
        self.opt.step()
        self.sched.step()
        return loss.item()

    def fit(self):
        self.model.train()
        running = 0.0
        for step in range(1, self.cfg.steps + 1):
            running += self.training_step()
            if step % self.cfg.log_every == 0:
                print(f"step {step:5d}  loss {running / self.cfg.log_every:.4f}")
                running = 0.0

    @torch.no_grad()
    def test(self, n=2000):
        self.model.eval()
        src, tgt = slips(n, torch.Generator().manual_seed(9000))
        pred = self.model(src).argmax(-1)
        hit = pred == tgt
        return hit.float().mean().item(), hit.all(1).float().mean().item()


if __name__ == "__main__":
    cfg = Config()
    trainer = Trainer(Seq2Seq(cfg.dim), cfg)
    trainer.fit()
    letters, whole = trainer.test()
    print(f"whole slips read {whole:.3f}")
    print(f"letters read {letters:.3f}")
