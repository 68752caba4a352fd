# Who should read the note? Short notes from the parish office are sorted to the verger, the organist,
# the gardener or the treasurer. The words are fed one at a time.
import random
import torch
import torch.nn as nn
import torch.nn.functional as F

torch.manual_seed(31)
random.seed(31)

openings = {
    0: ["unlock vestry", "ring bell", "light candles", "open gate"],
    1: ["tune pipes", "play hymn", "rehearse psalm", "repair pedals"],
    2: ["mow lawn", "trim yew", "water roses", "rake leaves"],
    3: ["pay invoice", "count plates", "bank cash", "audit ledger"],
}
fill = ("please before the service on sunday because of visiting bishop and family who arrive early from "
        "town with many guests so that all is ready for them thank you kindly yours in haste again").split()


def note():
    who = random.randrange(4)
    verb, thing = random.choice(openings[who]).split()
    lead = random.choices(fill, k=random.randint(0, 2))
    rest = random.choices(fill, k=14 - len(lead))
    # verbs get mixed up on purpose in the office, the thing decides
    if random.random() < 0.5:
        verb = random.choice(openings[random.randrange(4)]).split()[0]
    return lead + [verb, thing] + rest, who


notes = [note() for _ in range(3000)]
vocab = {w: i for i, w in enumerate(sorted({w for n, _ in notes for w in n}))}
X = torch.tensor([[vocab[w] for w in n] for n, _ in notes])
Y = torch.tensor([y for _, y in notes])
Xtr, Ytr, Xte, Yte = X[:2400], Y[:2400], X[2400:], Y[2400:]


class Reader(nn.Module):
    def __init__(self, n_words, dim=24, hidden=40):
        super().__init__()
        self.hidden = hidden
        self.emb = nn.Embedding(n_words, dim)
        self.cell = nn.GRUCell(dim, hidden)
        self.out = nn.Linear(hidden, 4)

    def forward(self, ids):
        e = self.emb(ids)
        state = torch.zeros(len(ids), self.hidden)
        for t in range(ids.shape[1]):
            state = self.cell(e[:, t], state)
        return self.out(state)


model = Reader(len(vocab))
optimizer = torch.optim.Adam(model.parameters(), lr=4e-3)

for epoch in range(1, 21):
    model.train()
    order = torch.randperm(len(Xtr))
    loss_sum = 0
    for chunk in order.split(60):
        loss = F.cross_entropy(model(Xtr[chunk]), Ytr[chunk])
        optimizer.zero_grad()
        loss.backward()
        nn.utils.clip_grad_norm_(model.parameters(), 5.0)
        optimizer.step()
        loss_sum += loss.item() * len(chunk)
    if epoch % 4 == 0:
        model.eval()
        with torch.no_grad():
            val = F.cross_entropy(model(Xte), Yte).item()
        print(f"epoch {epoch:2d}  train {loss_sum / len(Xtr):.3f}  held out {val:.3f}")

model.eval()
with torch.no_grad():
    guess = model(Xte).argmax(1)
print("accuracy on held out notes:", round((guess == Yte).float().mean().item(), 3))
