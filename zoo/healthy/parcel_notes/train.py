"""Sort customers' notes to the courier into six kinds (EmbeddingBag over words and bigrams)."""
import logging
import os
import random
import tempfile

import torch
from torch import nn
from torch.utils.data import DataLoader

SEED = int(os.environ.get("SEED", "0"))
KINDS = {
    "neighbour": ["leave with number {n}", "please hand to my neighbour at {n}", "next door takes it",
                  "give it to the people upstairs"],
    "safe place": ["behind the {obj}", "put it under the {obj}", "leave in the shed by the {obj}",
                   "anywhere dry near the {obj}"],
    "time": ["not before {n}", "only after {n} please", "we are home from {n} on", "come in the morning"],
    "access": ["bell is broken please knock", "code for the gate is {n}", "use the back door",
               "the lift is out take the stairs to {n}"],
    "refuse": ["do not deliver send it back", "i did not order this", "return to sender", "wrong name refuse it"],
    "warning": ["mind the dog", "careful the {obj} is slippery", "fragile glass inside", "heavy two people needed"],
}
OBJECTS = "bin bench hedge mat porch bicycle barrel steps flowerpot woodpile".split()
FILLERS = "please thanks hello kindly sorry many best just today also if possible the a to it is".split()


def make_notes(n, rng):
    notes, names = [], list(KINDS)
    for _ in range(n):
        k = rng.randrange(len(names))
        words = rng.choice(KINDS[names[k]]).format(n=rng.randrange(1, 60), obj=rng.choice(OBJECTS)).split()
        words = [w for w in words if rng.random() > 0.15] or words
        for _ in range(rng.randrange(0, 7)):
            words.insert(rng.randrange(len(words) + 1), rng.choice(FILLERS))
        if rng.random() < 1 / 12:                      # the clerk who labelled them was tired
            k = rng.randrange(len(names))
        notes.append((words, k))
    return notes


def tokens(words):
    return words + [a + "_" + b for a, b in zip(words, words[1:])]


def build_vocab(notes, at_least=2):
    counts = {}
    for words, _ in notes:
        for w in tokens(words):
            counts[w] = counts.get(w, 0) + 1
    vocab = {"<unk>": 0}
    for w, c in sorted(counts.items()):
        if c >= at_least:
            vocab[w] = len(vocab)
    return vocab


class NoteClassifier(nn.Module):
    def __init__(self, vocab_size, dim=32, classes=6):
        super().__init__()
        self.bag = nn.EmbeddingBag(vocab_size, dim, mode="mean")
        self.drop = nn.Dropout(0.3)
        self.fc = nn.Linear(dim, classes)

    def forward(self, ids, offsets):
        return self.fc(self.drop(self.bag(ids, offsets)))


def main():
    rng = random.Random(SEED)
    torch.manual_seed(SEED)
    log_path = os.path.join(tempfile.mkdtemp(), "train.log")
    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(message)s",
                        handlers=[logging.FileHandler(log_path), logging.StreamHandler()])
    notes = make_notes(6000, rng)
    train, valid, test = notes[:4000], notes[4000:5000], notes[5000:]
    vocab = build_vocab(train)
    logging.info("vocabulary of %d words and bigrams", len(vocab))

    def collate(batch):
        ids, offsets, labels = [], [], []
        for words, label in batch:
            offsets.append(len(ids))
            ids += [vocab.get(w, 0) for w in tokens(words)]
            labels.append(label)
        return torch.tensor(ids), torch.tensor(offsets), torch.tensor(labels)

    loaders = [DataLoader(part, batch_size=32, shuffle=(part is train), collate_fn=collate)
               for part in (train, valid, test)]
    model = NoteClassifier(len(vocab))
    optimizer = torch.optim.Adam(model.parameters(), lr=5e-3, weight_decay=1e-5)
    scheduler = torch.optim.lr_scheduler.ExponentialLR(optimizer, 0.85)
    loss_fn = nn.CrossEntropyLoss()

    def accuracy(loader):
        model.eval()
        hits = torch.zeros(6)
        totals = torch.zeros(6)
        with torch.inference_mode():
            for ids, offsets, labels in loader:
                right = model(ids, offsets).argmax(1) == labels
                hits.index_add_(0, labels, right.float())
                totals.index_add_(0, labels, torch.ones_like(right, dtype=torch.float))
        return (hits.sum() / totals.sum()).item(), (hits / totals).tolist()

    for epoch in range(10):
        model.train()
        total = 0.0
        for ids, offsets, labels in loaders[0]:
            optimizer.zero_grad()
            loss = loss_fn(model(ids, offsets), labels)
            loss.backward()
            optimizer.step()
            total += loss.item()
        scheduler.step()
        logging.info("epoch %d loss %.4f valid accuracy %.4f", epoch, total / len(loaders[0]), accuracy(loaders[1])[0])

    overall, by_kind = accuracy(loaders[2])
    for name, value in zip(KINDS, by_kind):
        logging.info("  recall %-10s %.3f", name, value)
    print(f"test accuracy {overall:.4f} (labels are right in 93 %)")


if __name__ == "__main__":
    main()
