# Which way did the court rule? Reports are lists of sentences; a GRU reads words, another reads sentences.
import random

import torch
import torch.nn as nn
from torch.nn.utils.rnn import pad_sequence, pack_padded_sequence

random.seed(61)
torch.manual_seed(61)

WHO = ["plaintiff", "defendant"]
VERBS = {"wins": ["persuades", "proves", "prevails"], "loses": ["fails", "errs", "defaults"]}
FILL = "the on a before court claim point law under fact of contract notice motion date in by".split()
HEDGE = ["nevertheless", "arguably", "finally"]
WORDS = {w: i + 1 for i, w in enumerate(WHO + sum(VERBS.values(), []) + FILL + HEDGE)}


def sentence(who, how, final):
    words = random.choices(FILL, k=random.randint(1, 3)) + [who]
    words += random.choices(FILL, k=random.randint(0, 2)) + [random.choice(VERBS[how])]
    words += random.choices(FILL, k=random.randint(1, 3))
    return ["finally" if final else random.choice(HEDGE[:2])] + words


def report():
    """What counts is the sentence that begins with 'finally', wherever it stands."""
    who, how = random.choice(WHO), random.choice(list(VERBS))
    others = [sentence(random.choice(WHO), random.choice(list(VERBS)), False) for _ in range(random.randint(1, 4))]
    others.insert(random.randint(0, len(others)), sentence(who, how, True))
    for_plaintiff = (who == "plaintiff") == (how == "wins")
    return [torch.tensor([WORDS[w] for w in s]) for s in others], float(for_plaintiff)


class ReportReader(nn.Module):
    def __init__(self, dim=32, hidden=40):
        super().__init__()
        self.embed = nn.Embedding(len(WORDS) + 1, dim, padding_idx=0)
        self.words = nn.GRU(dim, hidden, batch_first=True)
        self.sentences = nn.GRU(hidden, hidden, batch_first=True)
        self.verdict = nn.Linear(hidden, 1)

    def read_sentences(self, flat):
        lengths = torch.tensor([len(s) for s in flat])
        padded = self.embed(pad_sequence(flat, batch_first=True))
        _, last = self.words(pack_padded_sequence(padded, lengths, batch_first=True, enforce_sorted=False))
        return last[0]

    def forward(self, reports):
        sizes = [len(r) for r in reports]
        vectors = self.read_sentences([s for r in reports for s in r]).split(sizes)
        rows = pad_sequence([v for v in vectors], batch_first=True)
        packed = pack_padded_sequence(rows, torch.tensor(sizes), batch_first=True, enforce_sorted=False)
        _, last = self.sentences(packed)
        return self.verdict(last[0]).squeeze(1)


train_set = [report() for _ in range(2400)]
test_set = [report() for _ in range(400)]
model = ReportReader()
optimizer = torch.optim.Adam(model.parameters(), lr=5e-3)
criterion = nn.BCEWithLogitsLoss()


def accuracy():
    with torch.no_grad():
        reports, won = zip(*test_set)
        return ((model(reports) > 0) == (torch.tensor(won) > 0.5)).float().mean().item()


for epoch in range(1, 9):
    random.shuffle(train_set)
    losses = []
    for k in range(0, len(train_set), 40):
        reports, won = zip(*train_set[k : k + 40])
        loss = criterion(model(reports), torch.tensor(won))
        optimizer.zero_grad()
        loss.backward()
        torch.nn.utils.clip_grad_norm_(model.parameters(), 2.0)
        optimizer.step()
        losses.append(loss.item())
    print("epoch", epoch, "loss", round(sum(losses) / len(losses), 4), "test accuracy", round(accuracy(), 4))
