import torch
import torch.nn as nn
import torch.nn.functional as F

LETTERS, BOS = 10, 10
LESSONS = [(2, 80), (4, 120), (6, 150), (8, 150)]  # longest word, steps


class Speller(nn.Module):
    """Read a word, write it backwards: GRU encoder, attention, GRU decoder."""

    def __init__(self, dim=24, hidden=48):
        super().__init__()
        self.emb = nn.Embedding(LETTERS + 1, dim)
        self.place = nn.Embedding(9, dim)
        self.enc = nn.GRU(dim, hidden, batch_first=True)
        self.cell = nn.GRUCell(dim + hidden, hidden)
        self.query = nn.Linear(hidden, hidden)
        self.out = nn.Linear(2 * hidden, LETTERS)

    def forward(self, word, truth=None, forcing=0.0):
        n, length = word.shape
        memory, h = self.enc(self.emb(word) + self.place(torch.arange(length).flip(0)))
        h, sign = h[0], torch.full((n,), BOS)
        context = memory.mean(1)
        answers = []
        for t in range(length):
            h = self.cell(torch.cat([self.emb(sign), context], 1), h)
            weight = torch.einsum("nh,nlh->nl", self.query(h), memory).div(h.shape[1] ** 0.5).softmax(1)
            context = torch.einsum("nl,nlh->nh", weight, memory)
            logits = self.out(torch.cat([h, context], 1))
            answers.append(logits)
            sign = logits.argmax(1)
            if truth is not None:
                told = torch.rand(n) < forcing
                sign = torch.where(told, truth[:, t], sign)
        return torch.stack(answers, 1)


def words(n, length):
    word = torch.randint(0, LETTERS, (n, length))
    return word, word.flip(1)


torch.manual_seed(29)
model = Speller()
optimizer = torch.optim.Adam(model.parameters(), lr=4e-3)
exam = words(300, 8)
step, last = 0, sum(n for _, n in LESSONS)
for longest, n_steps in LESSONS:
    for _ in range(n_steps):
        length = int(torch.randint(max(2, longest - 2), longest + 1, ()))
        word, truth = words(48, length)
        logits = model(word, truth, forcing=1 - step / last)
        loss = F.cross_entropy(logits.transpose(1, 2), truth)
        optimizer.zero_grad()
        loss.backward()
        nn.utils.clip_grad_norm_(model.parameters(), 1.0)
        optimizer.step()
        step += 1
    model.eval()
    with torch.no_grad():
        spelled = model(exam[0]).argmax(2)
    model.train()
    letters = (spelled == exam[1]).float().mean()
    whole = (spelled == exam[1]).all(1).float().mean()
    print(f"words up to {longest}: loss {loss:.3f}; words of 8: letters {letters:.3f} whole {whole:.3f}")
