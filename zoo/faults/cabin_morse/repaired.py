"""Translate three-letter cabin call signs (letters a to p) to Morse with an LSTM encoder-decoder."""
import argparse
import itertools

import torch
import torch.nn as nn
import torch.nn.functional as F

torch.manual_seed(13)

MORSE = dict(zip(
    "abcdefghijklmnop",
    ".- -... -.-. -.. . ..-. --. .... .. .--- -.- .-.. -- -. --- .--.".split(),
))
PAD, SOS, EOS = 0, 1, 2
SYMBOLS = {".": 3, "-": 4, "/": 5}


def parse_args() -> argparse.Namespace:
    p = argparse.ArgumentParser()
    p.add_argument("--train-size", type=int, default=3200)
    p.add_argument("--test-size", type=int, default=500)
    p.add_argument("--hidden", type=int, default=96)
    p.add_argument("--batch-size", type=int, default=64)
    p.add_argument("--epochs", type=int, default=9)
    p.add_argument("--lr", type=float, default=5e-3)
    return p.parse_args()


def build_tensors() -> tuple[torch.Tensor, torch.Tensor]:
    signs = ["".join(s) for s in itertools.product(MORSE, repeat=3)]
    src = torch.tensor([[ord(c) - ord("a") for c in s] for s in signs])
    rows = [[SOS] + [SYMBOLS[m] for m in "/".join(MORSE[c] for c in s)] + [EOS] for s in signs]
    tgt = nn.utils.rnn.pad_sequence([torch.tensor(r) for r in rows], batch_first=True, padding_value=PAD)
    return src, tgt


class Translator(nn.Module):
    def __init__(self, n_src: int, n_tgt: int, hidden: int) -> None:
        super().__init__()
        self.src_emb = nn.Embedding(n_src, hidden)
        self.tgt_emb = nn.Embedding(n_tgt, hidden)
        self.encoder = nn.LSTM(hidden, hidden, batch_first=True)
        self.decoder = nn.LSTM(hidden, hidden, batch_first=True)
        self.out = nn.Linear(hidden, n_tgt)

    def forward(self, src: torch.Tensor, tokens: torch.Tensor) -> torch.Tensor:
        _, state = self.encoder(self.src_emb(src))
        hidden, _ = self.decoder(self.tgt_emb(tokens), state)
        return self.out(hidden)

    @torch.no_grad()
    def translate(self, src: torch.Tensor, steps: int) -> torch.Tensor:
        _, state = self.encoder(self.src_emb(src))
        token = torch.full((len(src), 1), SOS)
        done = torch.zeros(len(src), 1, dtype=torch.bool)
        output = []
        for _ in range(steps):
            hidden, state = self.decoder(self.tgt_emb(token), state)
            token = self.out(hidden).argmax(-1).masked_fill(done, PAD)
            done |= token == EOS
            output.append(token)
        return torch.cat(output, dim=1)


def init_weights(module: nn.Module) -> None:
    for param in module.parameters(recurse=False):
        nn.init.uniform_(param, -0.08, 0.08)


def make_step(model, optimizer, src, tgt):
    def step(idx: torch.Tensor) -> float:
        def closure() -> torch.Tensor:
            optimizer.zero_grad()
            logits = model(src[idx], tgt[idx, :-1])
            loss = F.cross_entropy(logits.flatten(0, 1), tgt[idx, 1:].flatten(), ignore_index=PAD)
            loss.backward()
            nn.utils.clip_grad_norm_(model.parameters(), 1.0)
            return loss

        return optimizer.step(closure).item()

    return step


args = parse_args()
src, tgt = build_tensors()
order = torch.randperm(len(src))
train, test = order[:args.train_size], order[args.train_size:args.train_size + args.test_size]

model = Translator(len(MORSE), 6, args.hidden)
model.apply(init_weights)
optimizer = torch.optim.Adam(model.parameters(), lr=args.lr)
step = make_step(model, optimizer, src, tgt)

for epoch in range(1, args.epochs + 1):
    model.train()
    shuffled = train[torch.randperm(len(train))]
    losses = [step(idx) for idx in shuffled.split(args.batch_size)]
    print(f"epoch {epoch:2d} train loss {sum(losses) / len(losses):.4f}")

model.eval()
predicted = model.translate(src[test], tgt.size(1) - 1)
exact = (predicted == tgt[test, 1:]).all(dim=1).float().mean().item()
print(f"call signs translated {exact:.4f}")
