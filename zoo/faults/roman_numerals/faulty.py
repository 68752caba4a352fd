"""Write numbers in Roman numerals, letter by letter."""
import random

import torch
import torch.nn as nn

DIGITS = "0123456789"
LETTERS = ["<pad>", "<go>", "<end>"] + list("IVXLCD")
TABLE = [(400, "CD"), (100, "C"), (90, "XC"), (50, "L"), (40, "XL"), (10, "X"), (9, "IX"), (5, "V"), (4, "IV"), (1, "I")]
MAX_OUT = 14


def roman(n):
    text = ""
    for value, sign in TABLE:
        while n >= value:
            text += sign
            n -= value
    return text


def encode(numbers):
    src = torch.tensor([[int(c) for c in f"{n:03d}"] for n in numbers])
    tgt = torch.zeros(len(numbers), MAX_OUT, dtype=torch.long)
    for row, n in enumerate(numbers):
        ids = [1] + [LETTERS.index(c) for c in roman(n)] + [2]
        tgt[row, : len(ids)] = torch.tensor(ids)
    return src, tgt


class Scribe(nn.Module):
    def __init__(self, size=64):
        super().__init__()
        self.digit = nn.Embedding(10, 24)
        self.letter = nn.Embedding(len(LETTERS), 24, padding_idx=0)
        self.read = nn.Linear(3 * 24, size)
        self.write = nn.GRU(24, size, batch_first=True)
        self.pen = nn.Linear(size, len(LETTERS))

    def start(self, src):
        return torch.tanh(self.read(self.digit(src).flatten(1))).unsqueeze(0)

    def forward(self, src, letters):
        h, _ = self.write(self.letter(letters), self.start(src))
        return self.pen(h)

    @torch.no_grad()
    def transcribe(self, src):
        h, last, out = self.start(src), torch.ones(len(src), 1, dtype=torch.long), []
        for _ in range(MAX_OUT - 1):
            y, h = self.write(self.letter(last), h)
            last = self.pen(y).argmax(-1)
            out.append(last)
        return torch.cat(out, dim=1)


def exact(model, src, tgt):
    model.eval()
    guess = model.transcribe(src)
    want = tgt[:, 1:]
    return ((guess == want) | (want == 0)).all(dim=1).float().mean().item()


def fit(model, data, held, epochs, batch_size=40):
    src, tgt = data
    criterion = nn.CrossEntropyLoss(ignore_index=0)
    for epoch in range(1, epochs + 1):
        model.train()
        for idx in torch.randperm(len(src)).split(batch_size):
            optimizer = torch.optim.SGD(model.parameters(), lr=0.2, momentum=0.9)
            optimizer.zero_grad()
            scores = model(src[idx], tgt[idx, :-1])
            loss = criterion(scores.transpose(1, 2), tgt[idx, 1:])
            loss.backward()
            optimizer.step()
        if epoch % 5 == 0:
            print(f"epoch {epoch}: loss {loss.item():.4f}, numerals right {exact(model, *held):.3f}")


random.seed(4)
torch.manual_seed(4)
numbers = random.sample(range(1, 500), 499)
fit(Scribe(), encode(numbers[:400]), encode(numbers[400:]), epochs=30)
