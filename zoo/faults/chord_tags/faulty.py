"""Name the chord under every beat of a melody: a tagger over note tokens."""
import torch
import torch.nn as nn
import torch.nn.functional as F

CHORDS = {"C": (0, 4, 7), "F": (5, 9, 0), "G": (7, 11, 2), "Am": (9, 0, 4), "Dm": (2, 5, 9), "Em": (4, 7, 11)}
NAMES = list(CHORDS)
FOLLOW = {"C": "FGAm", "F": "CGDm", "G": "CAmEm", "Am": "FDmG", "Dm": "GFAm", "Em": "AmFC"}
BEATS, REST = 24, 12


def compose(rng):
    chord, notes, tags = NAMES[int(torch.randint(6, (1,), generator=rng))], [], []
    while len(notes) < BEATS:
        for _ in range(int(torch.randint(3, 7, (1,), generator=rng))):
            u = torch.rand(2, generator=rng)
            if u[0] < 0.85:
                note = CHORDS[chord][int(u[1] * 3)]
            elif u[0] < 0.93:
                note = [0, 2, 4, 5, 7, 9, 11][int(u[1] * 7)]
            else:
                note = REST
            notes.append(note)
            tags.append(NAMES.index(chord))
        options = [n for n in NAMES if n in FOLLOW[chord] and n != chord]
        chord = options[int(torch.randint(len(options), (1,), generator=rng))]
    return notes[:BEATS], tags[:BEATS]


def songbook(n, seed):
    rng = torch.Generator()
    rng.manual_seed(seed)
    pairs = [compose(rng) for _ in range(n)]
    return torch.tensor([p[0] for p in pairs]), torch.tensor([p[1] for p in pairs])


class Tagger(nn.Module):
    def __init__(self, emb=16, hidden=32):
        super().__init__()
        self.emb = nn.Embedding(13, emb)
        self.rnn = nn.LSTM(emb, hidden, batch_first=True, bidirectional=True)
        self.fc = nn.Linear(2 * hidden, len(NAMES))

    def forward(self, notes):
        h, _ = self.rnn(self.emb(notes))
        return F.log_softmax(self.fc(h), dim=1)


torch.manual_seed(30)
notes, tags = songbook(800, seed=1)
held_notes, held_tags = songbook(200, seed=2)
tagger = Tagger()
nll = nn.NLLLoss()
opt = torch.optim.Adam(tagger.parameters(), lr=5e-3)
for epoch in range(10):
    order = torch.randperm(len(notes))
    for start in range(0, len(order), 32):
        pick = order[start : start + 32]
        log_p = tagger(notes[pick])
        loss = nll(log_p.view(-1, len(NAMES)), tags[pick].view(-1))
        opt.zero_grad()
        loss.backward()
        opt.step()
    with torch.no_grad():
        right = (tagger(held_notes).argmax(-1) == held_tags).float().mean().item()
    print("epoch", epoch + 1, "loss", round(loss.item(), 4), "beats right", round(right, 4))
