"""Sort emergency dispatch slips by the service that has to go out.

A slip often names things that were ruled out ("no smoke seen"), so word order matters.
"""
import random
from collections import Counter

import torch
from sklearn.metrics import confusion_matrix, f1_score
from torch import nn
from torch.nn.utils.rnn import pack_padded_sequence, pad_sequence
from torch.utils.data import DataLoader

SERVICES = ["medical", "police", "fire", "water"]
SHARES = [0.48, 0.30, 0.16, 0.06]
SIGNS = {
    "medical": ["man collapsed", "deep cut on arm", "chest pain", "broken ankle", "child choking", "woman fainted"],
    "police": ["shop window smashed", "car stolen", "fight outside", "man shouting threats", "bag snatched", "door forced"],
    "fire": ["smoke from roof", "kitchen burning", "gas smell", "sparks from cable", "bins alight", "chimney blaze"],
    "water": ["swimmer in trouble", "boat drifting", "dog through ice", "cellar flooding", "canoe overturned"],
}
PLACES = ["mill lane", "station road", "the harbour", "old bridge", "school yard", "market hall", "north quay", "the depot"]
DENY = ["no", "caller denies", "not", "ruled out", "nobody saw"]
OPEN = ["caller reports", "urgent", "second call", "neighbour says", "passer by saw", "report of"]
TAIL = ["please hurry", "gate is open", "caller waiting outside", "access from rear", "", ""]


def write_slip(rng):
    service = rng.choices(SERVICES, SHARES)[0]
    parts = [f"{rng.choice(OPEN)} {rng.choice(SIGNS[service])}"]
    for other in rng.sample([s for s in SERVICES if s != service], rng.choice([0, 1, 1, 2])):
        parts.append(f"{rng.choice(DENY)} {rng.choice(SIGNS[other])}")
    rng.shuffle(parts)
    parts.insert(rng.randrange(len(parts) + 1), f"at {rng.choice(PLACES)}")
    return " ".join(parts + [rng.choice(TAIL)]).split(), SERVICES.index(service)


def make_corpus(n, seed):
    rng, seen, corpus = random.Random(seed), set(), []
    while len(corpus) < n:
        words, label = write_slip(rng)
        if tuple(words) not in seen:
            seen.add(tuple(words))
            corpus.append((words, label))
    return corpus


def build_vocab(slips):
    counts = Counter(w for words, _ in slips for w in words)
    return {w: i + 2 for i, (w, c) in enumerate(counts.most_common()) if c > 1}      # 0 padding, 1 unknown


class SlipReader(nn.Module):
    def __init__(self, vocab, dim=48, hidden=64):
        super().__init__()
        self.embed = nn.Embedding(vocab, dim, padding_idx=0)
        self.lstm = nn.LSTM(dim, hidden, batch_first=True, bidirectional=True)
        self.drop = nn.Dropout(0.3)
        self.out = nn.Linear(2 * hidden, len(SERVICES))

    def forward(self, tokens, lengths):
        packed = pack_padded_sequence(self.drop(self.embed(tokens)), lengths, batch_first=True, enforce_sorted=False)
        _, (h, _) = self.lstm(packed)
        return self.out(self.drop(torch.cat([h[0], h[1]], 1)))


def make_loader(slips, vocab, shuffle):
    def collate(batch):
        seqs = [torch.tensor([vocab.get(w, 1) for w in words]) for words, _ in batch]
        return pad_sequence(seqs, batch_first=True), torch.tensor([len(s) for s in seqs]), torch.tensor([l for _, l in batch])
    return DataLoader(slips, batch_size=64, shuffle=shuffle, collate_fn=collate)


def train_epoch(model, loader, criterion, optimizer):
    model.train()
    total, seen = 0.0, 0
    for tokens, lengths, labels in loader:
        loss = criterion(model(tokens, lengths), labels)
        optimizer.zero_grad()
        loss.backward()
        nn.utils.clip_grad_norm_(model.parameters(), 5.0)
        optimizer.step()
        total, seen = total + loss.item() * len(labels), seen + len(labels)
    return total / seen


def predict(model, loader):
    model.eval()
    guesses, truth = [], []
    with torch.no_grad():
        for tokens, lengths, labels in loader:
            guesses += model(tokens, lengths).argmax(1).tolist()
            truth += labels.tolist()
    return truth, guesses


def main():
    torch.manual_seed(3)
    corpus = make_corpus(4200, seed=3)
    train, val, test = corpus[:3000], corpus[3000:3400], corpus[3400:]
    vocab = build_vocab(train)
    counts = torch.bincount(torch.tensor([label for _, label in train]), minlength=len(SERVICES)).float()
    weights = counts.rsqrt() / counts.rsqrt().mean()
    model = SlipReader(len(vocab) + 2)
    criterion = nn.CrossEntropyLoss(weight=weights)
    optimizer = torch.optim.Adam(model.parameters(), lr=2e-3)
    loaders = make_loader(train, vocab, True), make_loader(val, vocab, False), make_loader(test, vocab, False)
    for epoch in range(6):
        loss = train_epoch(model, loaders[0], criterion, optimizer)
        print(f"epoch {epoch + 1}: loss {loss:.3f}, validation macro F1 {f1_score(*predict(model, loaders[1]), average='macro'):.3f}")
    truth, guesses = predict(model, loaders[2])
    print(confusion_matrix(truth, guesses))
    print(f"test macro F1: {f1_score(truth, guesses, average='macro'):.3f}")


if __name__ == "__main__":
    main()
