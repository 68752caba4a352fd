"""Which language is the phrase? Five small languages at the border post, by character bigrams."""
import argparse
import os
import random

import numpy as np
import torch
import torch.nn as nn
import torch.optim as optim

SEED = int(os.environ.get("SEED", "0"))

# syllables that the made-up speakers like
STEMS = {
    "north": "ska fjo rek vind dal hav bro sten lyk mor tal gren".split(),
    "coast": "ma lua kea nui hono pali wai lani mele ola kai nalu".split(),
    "hills": "grz szcz wod kow mil dra brn rze sta ski prz wie".split(),
    "south": "ella ino are ces tro vola mente gia dolc pri sole rina".split(),
    "steppe": "bat khan oro tug dal sar bol gan ulaan mor nuur chin".split(),
}
LANGS = sorted(STEMS)


def phrase(lang):
    words = []
    for _ in range(random.randint(2, 4)):
        parts = []
        for _ in range(random.randint(1, 3)):
            # people mix: one syllable in three comes from a neighbour
            source = lang if random.random() < 0.67 else random.choice(LANGS)
            parts.append(random.choice(STEMS[source]))
        words.append("".join(parts))
    text = " ".join(words)
    return "".join(random.choice("aeiourst") if random.random() < 0.05 else c for c in text)


def bigrams(text):
    text = "^" + text + "$"
    return [text[i:i + 2] for i in range(len(text) - 1)]


def make_corpus(n):
    labels = [random.randrange(len(LANGS)) for _ in range(n)]
    return [phrase(LANGS[k]) for k in labels], torch.tensor(labels)


def build_vocab(texts):
    vocab = {"<unk>": 0}
    for t in texts:
        for b in bigrams(t):
            vocab.setdefault(b, len(vocab))
    return vocab


def to_bags(texts, vocab):
    return [torch.tensor([vocab.get(b, 0) for b in bigrams(t)]) for t in texts]


def batches(bags, labels, size, shuffle):
    order = torch.randperm(len(bags)) if shuffle else torch.arange(len(bags))
    for chunk in order.split(size):
        chosen = [bags[i] for i in chunk.tolist()]
        offsets = torch.tensor([0] + [len(c) for c in chosen[:-1]]).cumsum(0)
        yield torch.cat(chosen), offsets, labels[chunk]


class LanguageGuesser(nn.Module):
    def __init__(self, vocab_size, dim, n_class):
        super().__init__()
        self.embedding = nn.EmbeddingBag(vocab_size, dim, mode="mean")
        self.fc = nn.Sequential(nn.Linear(dim, 48), nn.ReLU(), nn.Linear(48, n_class))

    def forward(self, text, offsets):
        return self.fc(self.embedding(text, offsets))


def accuracy(model, bags, labels):
    model.eval()
    hits = 0
    with torch.no_grad():
        for text, off, y in batches(bags, labels, 256, False):
            hits += (model(text, off).argmax(1) == y).sum().item()
    return hits / len(labels)


def main(args):
    random.seed(SEED)
    np.random.seed(SEED)
    torch.manual_seed(SEED)
    train_texts, train_y = make_corpus(2500)
    test_texts, test_y = make_corpus(800)
    vocab = build_vocab(train_texts)
    train_bags, test_bags = to_bags(train_texts, vocab), to_bags(test_texts, vocab)
    print(f"{len(vocab)} bigrams, e.g. {train_texts[0]!r} = {LANGS[train_y[0]]}")

    model = LanguageGuesser(len(vocab), args.dim, len(LANGS))
    # the net has many more parameters than phrases, so regularise
    optimizer = optim.Adam(model.parameters(), lr=args.lr, weight_decay=args.weight_decay)
    scheduler = optim.lr_scheduler.StepLR(optimizer, step_size=8, gamma=0.5)
    criterion = nn.CrossEntropyLoss()
    for epoch in range(1, args.epochs + 1):
        model.train()
        losses = []
        for text, off, y in batches(train_bags, train_y, args.batch_size, True):
            optimizer.zero_grad()
            loss = criterion(model(text, off), y)
            loss.backward()
            optimizer.step()
            losses.append(loss.item())
        scheduler.step()
        print(f"epoch {epoch:2d}: loss {np.mean(losses):.4f}, test {accuracy(model, test_bags, test_y):.3f}")
    print(f"final accuracy {accuracy(model, test_bags, test_y):.4f}")


if __name__ == "__main__":
    parser = argparse.ArgumentParser()
    parser.add_argument("--dim", type=int, default=32)
    parser.add_argument("--lr", type=float, default=0.005)
    parser.add_argument("--weight-decay", type=float, default=1e-4)
    parser.add_argument("--epochs", type=int, default=20)
    parser.add_argument("--batch-size", type=int, default=32)
    main(parser.parse_args())
