"""A word model that learns to go on with shanties, trained on time-major blocks of one long text."""
import math
import random

import torch
from torch import nn

HEADS = ["haul", "heave", "roll", "blow", "row"]
BODY = {
    "haul": ["away", "the", "bowline", "joe"],
    "heave": ["her", "up", "and", "away", "my", "boys"],
    "roll": ["the", "old", "chariot", "along"],
    "blow": ["the", "man", "down", "bullies"],
    "row": ["me", "over", "the", "bar", "johnny", "and", "home"],
}
ENDS = ["hey", "ho", "yo"]


def text(verses):
    """The third line of a verse repeats the first; its end word tells how the verse began."""
    words = []
    for _ in range(verses):
        a, b = random.sample(HEADS, 2)
        for head in (a, b, a):
            words += [head, *BODY[head], "/"]
        words += [ENDS[HEADS.index(a) % 3], random.choice(["oh", "aye"]), "//"]
    return words


def blocks(ids, columns, length):
    """Yields (inputs, targets) of shape length x columns, walking down the columns."""
    rows = len(ids) // columns
    table = ids[: rows * columns].view(columns, rows).t().contiguous()
    for at in range(0, rows - 1 - length, length):
        yield table[at : at + length], table[at + 1 : at + 1 + length]


class ShantyModel(nn.Module):
    def __init__(self, words, dim=48, hidden=80):
        super().__init__()
        self.embed = nn.Embedding(words, dim)
        self.lstm = nn.LSTM(dim, hidden)
        self.drop = nn.Dropout(0.1)
        self.out = nn.Linear(hidden, words)

    def forward(self, ids, state=None):
        h, state = self.lstm(self.embed(ids), state)
        return self.out(self.drop(h)).transpose(0, 1), state


def score(logits, targets):
    return nn.functional.cross_entropy(logits.reshape(-1, logits.shape[-1]), targets.t().reshape(-1))


def passes(model, ids, columns=16, length=30):
    """A generator of losses; the state is handed on from block to block, without its history."""
    state = None
    for inputs, targets in blocks(ids, columns, length):
        logits, state = model(inputs, state)
        state = tuple(s.detach() for s in state)
        yield score(logits, targets)


def perplexity(model, ids):
    model.eval()
    with torch.no_grad():
        losses = [l.item() for l in passes(model, ids, columns=8)]
    model.train()
    return math.exp(sum(losses) / len(losses))


if __name__ == "__main__":
    random.seed(19)
    torch.manual_seed(19)
    vocab = {w: i for i, w in enumerate(sorted(set(text(200))))}
    train, valid = (torch.tensor([vocab[w] for w in text(n)]) for n in (700, 150))
    model = ShantyModel(len(vocab))
    opt = torch.optim.Adam(model.parameters(), lr=4e-3)
    for epoch in range(8):
        for loss in passes(model, train):
            opt.zero_grad()
            loss.backward()
            nn.utils.clip_grad_norm_(model.parameters(), 1.0)
            opt.step()
        print(f"epoch {epoch} last loss {loss.item():.3f} valid perplexity {perplexity(model, valid):.3f}")
