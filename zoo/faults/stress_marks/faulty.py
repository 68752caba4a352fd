"""Mark each syllable of a word as weak or stressed."""
import random

import torch
import torch.nn as nn
from torch.nn.utils.rnn import pack_padded_sequence, pad_packed_sequence, pad_sequence

torch.manual_seed(19)
random.seed(19)

ONSETS = list("bdgklmnprst")
RIMES = ["a", "e", "i", "o", "an", "el", "or", "aa", "ei", "us"]
HEAVY = {"an", "el", "or", "aa", "ei", "us"}
SYLLABLES = [o + r for o in ONSETS for r in RIMES]
INDEX = {s: i + 1 for i, s in enumerate(SYLLABLES)}


def stress(word):
    """Main stress on the last heavy syllable among the last three, else the first of them; then every second one to the left."""
    n = len(word)
    tail = range(max(0, n - 3), n)
    heavy = [i for i in tail if word[i][1:] in HEAVY]
    main = heavy[-1] if heavy else tail[0]
    return [2 if i <= main and (main - i) % 2 == 0 else 1 for i in range(n)]


def lexicon(n):
    words, marks = [], []
    for _ in range(n):
        word = [random.choice(SYLLABLES) for _ in range(random.randint(2, 8))]
        words.append(torch.tensor([INDEX[s] for s in word]))
        marks.append(torch.tensor(stress(word)))
    return words, marks


class StressTagger(nn.Module):
    def __init__(self, n_units=3, dim=24, hidden=32):
        super().__init__()
        self.emb = nn.Embedding(len(SYLLABLES) + 1, dim, padding_idx=0)
        self.rnn = nn.LSTM(dim, hidden, batch_first=True, bidirectional=True)
        self.out = nn.Linear(2 * hidden, n_units)

    def forward(self, words, lengths):
        packed = pack_padded_sequence(self.emb(words), lengths, batch_first=True, enforce_sorted=False)
        states, _ = pad_packed_sequence(self.rnn(packed)[0], batch_first=True)
        return torch.sigmoid(self.out(states))


def sparse_crossentropy(probs, marks, mask):
    picked = probs.gather(-1, (marks * mask).unsqueeze(-1)).squeeze(-1)
    return -(torch.log(picked + 1e-7) * mask).sum() / mask.sum()


def collate(words, marks, idx):
    lengths = torch.tensor([len(words[i]) for i in idx])
    x = pad_sequence([words[i] for i in idx], batch_first=True)
    y = pad_sequence([marks[i] for i in idx], batch_first=True)
    mask = torch.arange(x.shape[1])[None] < lengths[:, None]
    return x, y, mask.long(), lengths


def accuracy(model, words, marks):
    model.eval()
    x, y, mask, lengths = collate(words, marks, range(len(words)))
    with torch.no_grad():
        guess = model(x, lengths).argmax(-1)
    return ((guess == y) * mask).sum().item() / mask.sum().item()


words, marks = lexicon(2500)
train_words, train_marks = words[:2000], marks[:2000]
test_words, test_marks = words[2000:], marks[2000:]

tagger = StressTagger()
optimizer = torch.optim.Adam(tagger.parameters(), lr=4e-3)
for epoch in range(12):
    tagger.train()
    total = 0.0
    order = torch.randperm(len(train_words)).tolist()
    for i in range(0, len(order), 40):
        x, y, mask, lengths = collate(train_words, train_marks, order[i:i + 40])
        loss = sparse_crossentropy(tagger(x, lengths), y, mask)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        total += loss.item()
    if epoch % 3 == 2:
        print(f"epoch {epoch + 1} loss {total / 50:.4f}")

print(f"train accuracy {accuracy(tagger, train_words, train_marks):.4f}")
print(f"syllable accuracy {accuracy(tagger, test_words, test_marks):.4f}")
