"""Which of six invented languages is this line in?"""
import argparse

import numpy as np
import torch
import torch.nn as nn
import torch.nn.functional as F

LETTERS = "abcdefghijklmnopqrstuvwx"


def grammar(rng, spread=0.8):
    logits = spread * rng.randn(len(LETTERS), len(LETTERS))
    p = np.exp(logits)
    return p / p.sum(1, keepdims=True)


def write_lines(chains, n, length, rng):
    labels = rng.randint(len(chains), size=n)
    state = rng.randint(len(LETTERS), size=n)
    text = np.empty((n, length), dtype=np.int64)
    cum = np.stack([c.cumsum(1) for c in chains])
    for t in range(length):
        text[:, t] = state
        state = (rng.rand(n, 1) > cum[labels, state]).sum(1).clip(max=len(LETTERS) - 1)
    return torch.from_numpy(text), torch.from_numpy(labels)


class Reader(nn.Module):
    def __init__(self, n_out, emb=16, channels=48):
        super().__init__()
        self.embed = nn.Embedding(len(LETTERS), emb)
        self.bigram = nn.Conv1d(emb, channels, 2)
        self.norm = nn.LayerNorm(channels)
        self.hidden = nn.Linear(channels, channels)
        self.out = nn.Linear(channels, n_out)

    def forward(self, ids):
        h = F.relu(self.bigram(self.embed(ids).transpose(1, 2))).mean(-1)
        return self.out(F.relu(self.hidden(self.norm(h))))


def make_optimizer(model, args):
    decayed = [p for p in model.parameters() if p.dim() >= 2]
    plain = [p for p in model.parameters() if p.dim() < 2]
    n = sum(p.numel() for p in decayed)
    print(f"weight decay on {n} of {sum(p.numel() for p in model.parameters())} numbers")
    return torch.optim.AdamW(
        [{"params": decayed, "weight_decay": args.wd}, {"params": plain, "weight_decay": 0.0}],
        lr=args.lr,
    )


def main(args):
    torch.manual_seed(args.seed)
    rng = np.random.RandomState(args.seed)
    chains = [grammar(rng) for _ in range(6)]
    ids, labels = write_lines(chains, 2400, 32, rng)
    ids_val, labels_val = write_lines(chains, 800, 32, rng)
    model = Reader(len(chains))
    optimizer = make_optimizer(model, args)
    for epoch in range(1, args.epochs + 1):
        model.train()
        for rows in torch.randperm(len(ids)).split(args.batch):
            loss = F.cross_entropy(model(ids[rows]), labels[rows])
            optimizer.zero_grad(set_to_none=True)
            loss.backward()
            optimizer.step()
        model.eval()
        with torch.no_grad():
            acc = (model(ids_val).argmax(1) == labels_val).float().mean()
        print(f"epoch {epoch}: last loss {loss:.4f}, validation accuracy {acc:.4f}")


if __name__ == "__main__":
    ap = argparse.ArgumentParser()
    ap.add_argument("--epochs", type=int, default=8)
    ap.add_argument("--batch", type=int, default=48)
    ap.add_argument("--lr", type=float, default=3e-3)
    ap.add_argument("--wd", type=float, default=0.01)
    ap.add_argument("--seed", type=int, default=12)
    main(ap.parse_args([]))
