# Which books will a reader borrow? Two-tower factors, sparse tables with SparseAdam, the rest with AdamW.
import torch
import torch.nn as nn
import torch.nn.functional as F

torch.manual_seed(55)
READERS, BOOKS, SHELVES, LOANS = 500, 300, 8, 26

taste = torch.randn(READERS, 4)
shelf = torch.randint(SHELVES, (BOOKS,))
shelf_style = torch.randn(SHELVES, 4)
content = shelf_style[shelf] + 0.5 * torch.randn(BOOKS, 4)
fame = 0.8 * torch.randn(BOOKS)
appeal = 1.2 * taste @ content.T + fame
gumbel = -torch.log(-torch.log(torch.rand_like(appeal)))
borrowed = (appeal + gumbel).topk(LOANS, 1).indices  # readers x loans
borrowed = borrowed[:, torch.randperm(LOANS)]
known, hidden = borrowed[:, :-4], borrowed[:, -4:]
pairs = torch.stack([torch.arange(READERS)[:, None].expand_as(known), known], -1).reshape(-1, 2)


class Library(nn.Module):
    def __init__(self, d=16):
        super().__init__()
        self.reader = nn.Embedding(READERS, d, sparse=True)
        self.book = nn.Embedding(BOOKS, d, sparse=True)
        self.shelf = nn.Embedding(SHELVES, d)
        self.mix = nn.Sequential(nn.Linear(2 * d, 2 * d), nn.ReLU(), nn.Linear(2 * d, d + 1))
        for table in (self.reader, self.book):
            nn.init.normal_(table.weight, std=0.1)

    def forward(self, who, what):
        u = self.reader(who)
        v = torch.cat([self.book(what), self.shelf(shelf[what])], -1)
        v = self.mix(v)
        return (u * v[..., :-1]).sum(-1) + v[..., -1]

    def tables(self):
        return [self.reader.weight, self.book.weight]

    def dense(self):
        return [*self.shelf.parameters(), *self.mix.parameters()]


def recall(model, k=20):
    with torch.no_grad():
        scores = model(torch.arange(READERS)[:, None], torch.arange(BOOKS)[None])
        scores.scatter_(1, known, float("-inf"))
        top = scores.topk(k, 1).indices
    return (top[:, :, None] == hidden[:, None]).any(1).float().mean().item()


model = Library()
optimizers = [
    torch.optim.SparseAdam(model.tables(), lr=6e-3),
    torch.optim.AdamW(model.dense(), lr=2e-3, weight_decay=1e-3),
]
print(f"untrained: recall@20 {recall(model):.3f}")
for epoch in range(5):
    shuffled = pairs[torch.randperm(len(pairs))]
    for batch in shuffled.split(128):
        who, liked = batch.unbind(1)
        other = torch.randint(BOOKS, (len(batch), 4))
        margin = model(who, liked)[:, None] - model(who[:, None], other)
        loss = -F.logsigmoid(margin).mean()
        for o in optimizers:
            o.zero_grad()
        loss.backward()
        for o in optimizers:
            o.step()
    print(f"epoch {epoch + 1}: loss {loss.item():.3f} recall@20 {recall(model):.3f}")
