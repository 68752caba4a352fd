# One source language, four dialects; a tag in front of the source says which one is wanted.
import torch
from torch import nn

torch.manual_seed(8)
LETTERS, DIALECTS, LENGTH = 16, 4, 7
START = LETTERS
SWAPS = torch.stack([torch.randperm(LETTERS) for _ in range(DIALECTS)])


def phrase_pairs(dialect, n):
    source = torch.randint(LETTERS, (n, LENGTH))
    target = SWAPS[dialect][source]
    if dialect % 2:  # two of them put the last word first
        target = target.roll(1, dims=1)
    tag = torch.full((n, 1), LETTERS + dialect)
    return torch.cat([tag, source], 1), target


class Translator(nn.Module):
    def __init__(self, d=48):
        super().__init__()
        self.src = nn.Embedding(LETTERS + DIALECTS, d)
        self.tgt = nn.Embedding(LETTERS + 1, d)
        self.encoder = nn.GRU(d, d, batch_first=True, bidirectional=True)
        self.bridge = nn.Linear(2 * d, d)
        self.decoder = nn.GRU(d, d, batch_first=True)
        self.keys = nn.Linear(2 * d, d)
        self.out = nn.Sequential(nn.Linear(3 * d, 2 * d), nn.ReLU(), nn.Linear(2 * d, LETTERS))

    def encode(self, source):
        memory, last = self.encoder(self.src(source))
        return memory, torch.tanh(self.bridge(torch.cat([last[0], last[1]], 1)))[None]

    def decode(self, previous, memory, state):
        h, state = self.decoder(self.tgt(previous), state)
        weights = torch.softmax(h @ self.keys(memory).transpose(1, 2) / h.shape[-1] ** 0.5, dim=-1)
        return self.out(torch.cat([h, weights @ memory], -1)), state

    def forward(self, source, target):
        begin = torch.full_like(target[:, :1], START)
        return self.decode(torch.cat([begin, target[:, :-1]], 1), *self.encode(source))[0]

    @torch.no_grad()
    def translate(self, source):
        memory, state = self.encode(source)
        word = torch.full((len(source), 1), START)
        words = []
        for _ in range(LENGTH):
            scores, state = self.decode(word, memory, state)
            word = scores.argmax(-1)
            words.append(word)
        return torch.cat(words, 1)


model = Translator()
criterion = nn.CrossEntropyLoss()
optimizer = torch.optim.Adam(model.parameters(), lr=4e-3)
exam = [phrase_pairs(d, 100) for d in range(DIALECTS)]

for update in range(1, 221):
    total = 0.0
    for dialect in range(DIALECTS):  # one batch of each does not fit into memory at once
        optimizer.zero_grad()
        source, target = phrase_pairs(dialect, 24)
        scores = model(source, target)
        loss = criterion(scores.flatten(0, 1), target.flatten()) / DIALECTS
        loss.backward()
        total += loss.item()
    nn.utils.clip_grad_norm_(model.parameters(), 1.0)
    optimizer.step()
    if update % 44 == 0:
        right = [(model.translate(s) == t).float().mean().item() for s, t in exam]
        print(f"update {update} loss {total:.3f} letters right {sum(right) / DIALECTS:.4f}")
