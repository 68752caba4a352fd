"""Parity-like sequence classification with a GRU."""
import torch
import torch.nn.functional as F
from torch import nn


class SeqNet(nn.Module):
    def __init__(self, vocab, dim, hidden, n_out):
        super().__init__()
        self.embed = nn.Embedding(vocab, dim)
        self.rnn = nn.GRU(dim, hidden, batch_first=True)
        self.drop = nn.Dropout(0.1)
        self.fc = nn.Linear(hidden, n_out)

    def forward(self, tokens):
        h, _ = self.rnn(self.embed(tokens))
        h = self.drop(h[:, -1])
        return F.log_softmax(self.fc(h), dim=-1)


def make_split(n, length, vocab, gen):
    tokens = torch.randint(0, vocab, (n, length), generator=gen)
    counts = F.one_hot(tokens, vocab).sum(1)[:, :4].float()
    return tokens, counts.argmax(1)


def batches(data, size, gen=None):
    tokens, y = data
    order = torch.randperm(len(tokens), generator=gen) if gen is not None else torch.arange(len(tokens))
    for chunk in order.split(size):
        yield tokens[chunk], y[chunk]


def train_one_epoch(model, data, opt, gen):
    model.train()
    running, n = 0.0, 0
    for tokens, y in batches(data, 64, gen):
        opt.zero_grad(set_to_none=True)
        loss = F.nll_loss(model(tokens), y)
        loss.backward()
        opt.step()
        running += loss.item() * len(y)
        n += len(y)
    return running / n


@torch.no_grad()
def evaluate(model, data):
    model.eval()
    good = sum((model(t).argmax(1) == y).sum().item() for t, y in batches(data, 256))
    return good / len(data[1])


def main():
    torch.manual_seed(11)
    gen = torch.Generator().manual_seed(3)
    train, test = make_split(2000, 12, 8, gen), make_split(500, 12, 8, gen)
    model = SeqNet(8, 16, 48, 4)
    opt = torch.optim.Adam(model.parameters(), lr=4e-3)
    for ep in range(1, 13):
        tr = train_one_epoch(model, train, opt, gen)
        acc = evaluate(model, test)
        print(f"[{ep:02d}] loss={tr:.4f} test_acc={acc:.3f}")


if __name__ == "__main__":
    main()
