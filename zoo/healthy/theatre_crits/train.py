"""Is a short theatre review favourable? Negators flip the next opinion word."""
import random

import torch
import torch.nn.functional as F
from torch import nn
from torch.nn.utils.rnn import pack_padded_sequence, pad_sequence
from torch.utils.data import DataLoader

random.seed(3)
torch.manual_seed(3)

GOOD = "splendid moving witty radiant gripping tender lively superb charming bold fresh luminous".split()
BAD = "dull wooden tedious clumsy shrill flat lazy muddled stale hollow grating limp".split()
NOUNS = "cast plot staging music script lead chorus lighting ending costumes dialogue pacing".split()
NEGATORS = ["not", "never", "hardly"]
FILLERS = "and the was with but though on opening night we felt that again this season".split()


def write_review():
    while True:
        words, score = [], 0
        for _ in range(random.randint(2, 5)):
            words += random.sample(FILLERS, random.randint(0, 3))
            words += ["the", random.choice(NOUNS), "was"]
            sign = random.choice([1, -1])
            if random.random() < 0.35:
                words.append(random.choice(NEGATORS))
                words.append(random.choice(BAD if sign > 0 else GOOD))
            else:
                words.append(random.choice(GOOD if sign > 0 else BAD))
            score += sign
        if score:
            return words, int(score > 0)


reviews, texts = [], set()
while len(reviews) < 3300:
    words, label = write_review()
    if " ".join(words) not in texts:
        texts.add(" ".join(words))
        reviews.append((words, label))
train, valid, test = reviews[:2400], reviews[2400:2800], reviews[2800:]
vocab = {"<pad>": 0, "<unk>": 1}
for words, _ in train:
    for w in words:
        vocab.setdefault(w, len(vocab))


def collate(batch):
    seqs = [torch.tensor([vocab.get(w, 1) for w in words]) for words, _ in batch]
    lengths = torch.tensor([len(s) for s in seqs])
    labels = torch.tensor([label for _, label in batch])
    return pad_sequence(seqs, batch_first=True), lengths, labels


class Critic(nn.Module):
    def __init__(self, n_words, dim=32, hidden=32):
        super().__init__()
        self.embed = nn.Embedding(n_words, dim, padding_idx=0)
        self.lstm = nn.LSTM(dim, hidden, batch_first=True, bidirectional=True)
        self.drop = nn.Dropout(0.3)
        self.out = nn.Linear(2 * hidden, 2)

    def forward(self, tokens, lengths):
        packed = pack_padded_sequence(self.drop(self.embed(tokens)), lengths, batch_first=True,
                                      enforce_sorted=False)
        _, (h, _) = self.lstm(packed)
        return self.out(self.drop(torch.cat([h[0], h[1]], dim=1)))


def evaluate(model, loader):
    model.eval()
    loss = right = n = 0
    with torch.no_grad():
        for tokens, lengths, labels in loader:
            logits = model(tokens, lengths)
            loss += F.cross_entropy(logits, labels, reduction="sum").item()
            right += (logits.argmax(1) == labels).sum().item()
            n += len(labels)
    return loss / n, right / n


train_loader = DataLoader(train, batch_size=40, shuffle=True, collate_fn=collate)
valid_loader = DataLoader(valid, batch_size=200, collate_fn=collate)
test_loader = DataLoader(test, batch_size=200, collate_fn=collate)

model = Critic(len(vocab))
optimizer = torch.optim.Adam(model.parameters(), lr=3e-3)
scheduler = torch.optim.lr_scheduler.ReduceLROnPlateau(optimizer, factor=0.4, patience=1)
for epoch in range(8):
    model.train()
    total = 0.0
    for tokens, lengths, labels in train_loader:
        loss = F.cross_entropy(model(tokens, lengths), labels)
        optimizer.zero_grad()
        loss.backward()
        nn.utils.clip_grad_norm_(model.parameters(), 5.0)
        optimizer.step()
        total += loss.item() * len(labels)
    val_loss, val_acc = evaluate(model, valid_loader)
    scheduler.step(val_loss)
    print(f"epoch {epoch:2d} train {total / len(train):.4f} val {val_loss:.4f} acc {val_acc:.3f} "
          f"lr {optimizer.param_groups[0]['lr']:.1e}")
majority = max(sum(l for _, l in test), sum(1 - l for _, l in test)) / len(test)
print(f"test accuracy {evaluate(model, test_loader)[1]:.4f} (majority {majority:.3f})")
