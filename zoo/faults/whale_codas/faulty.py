# Sperm-whale codas: a coda is a handful of clicks; from the gaps between them (and their loudness) tell the clan.
import torch
from torch import nn
from torch.nn.utils.rnn import pack_padded_sequence, pad_sequence

CLANS = {
    "regular": lambda k: torch.full((k,), 0.20),
    "plus one": lambda k: torch.cat([torch.full((k - 1,), 0.15), torch.tensor([0.40])]),
    "one first": lambda k: torch.cat([torch.tensor([0.40]), torch.full((k - 1,), 0.15)]),
    "rising": lambda k: torch.linspace(0.12, 0.30, k),
    "falling": lambda k: torch.linspace(0.30, 0.12, k),
}


def record(clan: str, g: torch.Generator) -> torch.Tensor:
    k = int(torch.randint(4, 13, (1,), generator=g))
    gaps = CLANS[clan](k) * (0.85 + 0.3 * torch.rand(1, generator=g))
    gaps = gaps * (1 + 0.12 * torch.randn(k, generator=g))
    loud = 0.5 * torch.randn(k, generator=g)
    return torch.stack([(gaps - 0.2) / 0.08, loud], dim=1)


def make_split(n: int, g: torch.Generator):
    names = list(CLANS)
    clans = torch.randint(len(names), (n,), generator=g)
    return [record(names[c], g) for c in clans.tolist()], clans


def batches(codas, clans, size, g=None):
    ids = torch.arange(len(codas)) if g is None else torch.randperm(len(codas), generator=g)
    for part in ids.split(size):
        lengths = torch.tensor([len(codas[i]) for i in part.tolist()])
        padded = pad_sequence([codas[i] for i in part.tolist()], batch_first=True)
        lengths, order = lengths.sort(descending=True)
        yield padded[order], lengths, clans[part]


class CodaReader(nn.Module):
    def __init__(self, hidden: int = 32):
        super().__init__()
        self.rnn = nn.LSTM(2, hidden, batch_first=True, bidirectional=True)
        self.head = nn.Linear(2 * hidden, len(CLANS))

    def forward(self, padded, lengths):
        packed = pack_padded_sequence(padded, lengths, batch_first=True)
        _, (h, _) = self.rnn(packed)
        return self.head(torch.cat([h[-2], h[-1]], dim=1))


def accuracy(model, codas, clans):
    model.eval()
    with torch.no_grad():
        hits = [(model(p, n).argmax(1) == c) for p, n, c in batches(codas, clans, 100)]
    return torch.cat(hits).float().mean().item()


if __name__ == "__main__":
    torch.manual_seed(5)
    g = torch.Generator().manual_seed(50)
    train, test = make_split(900, g), make_split(300, g)
    model = CodaReader()
    optim = torch.optim.Adam(model.parameters(), lr=4e-3)
    for epoch in range(1, 13):
        model.train()
        seen = 0.0
        for padded, lengths, clan in batches(*train, 36, g):
            loss = nn.functional.cross_entropy(model(padded, lengths), clan)
            optim.zero_grad()
            loss.backward()
            nn.utils.clip_grad_norm_(model.parameters(), 5.0)
            optim.step()
            seen += loss.item() * len(clan)
        print(f"{epoch=} loss {seen / 900:.3f} clan accuracy {accuracy(model, *test):.3f}")
