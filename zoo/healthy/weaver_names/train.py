"""From which valley does the weaver come?  A character LSTM on names.

Batches hold names of like length (a bucket sampler), padded and packed.
"""
import os
import random

import torch
from torch import nn
from torch.nn.utils.rnn import pack_padded_sequence, pad_sequence
from torch.utils.data import DataLoader, Sampler

SEED = int(os.environ.get("SEED", "0"))
ALPHABET = "abcdefghijklmnopqrstuvwxyz"
VALLEYS = {
    "upper": (["ka", "ri", "to", "mi", "su", "no", "ha"], ["n", "", "", "ko"]),
    "middle": (["bel", "ra", "min", "do", "tes", "ka", "lor"], ["a", "o", "is", "n"]),
    "lower": (["gar", "ulf", "ste", "ri", "bro", "min", "hal"], ["sen", "d", "n", "a"]),
}


def invent(n, rng):
    people, valleys = [], list(VALLEYS)
    for _ in range(n):
        k = rng.randrange(3)
        syllables, ends = VALLEYS[valleys[k]]
        name = "".join(rng.choice(syllables) for _ in range(rng.choice([1, 2, 2, 3]))) + rng.choice(ends)
        if rng.random() < 0.25:                     # careless spelling
            i = rng.randrange(len(name))
            name = name[:i] + rng.choice(ALPHABET) + name[i + 1:]
        if rng.random() < 0.06:                     # people move
            k = rng.randrange(3)
        people.append((torch.tensor([ALPHABET.index(c) + 1 for c in name]), k))
    return people


class BucketSampler(Sampler):
    """Batches of like length, in random order."""

    def __init__(self, lengths, batch_size, rng):
        self.lengths, self.batch_size, self.rng = lengths, batch_size, rng

    def __iter__(self):
        noise = [length + self.rng.random() for length in self.lengths]
        order = sorted(range(len(noise)), key=noise.__getitem__)
        batches = [order[i:i + self.batch_size] for i in range(0, len(order), self.batch_size)]
        self.rng.shuffle(batches)
        return iter(batches)

    def __len__(self):
        return -(-len(self.lengths) // self.batch_size)


def collate(batch):
    names, valleys = zip(*batch)
    lengths = torch.tensor([len(n) for n in names])
    return pad_sequence(names, batch_first=True), lengths, torch.tensor(valleys)


class NameLSTM(nn.Module):
    def __init__(self, hidden=32):
        super().__init__()
        self.embed = nn.Embedding(27, 16, padding_idx=0)
        self.lstm = nn.LSTM(16, hidden, batch_first=True, bidirectional=True)
        self.out = nn.Sequential(nn.Dropout(0.2), nn.Linear(2 * hidden, 3))

    def forward(self, names, lengths):
        packed = pack_padded_sequence(self.embed(names), lengths, batch_first=True, enforce_sorted=False)
        _, (h, _) = self.lstm(packed)
        return self.out(torch.cat([h[0], h[1]], dim=1))


def main():
    rng = random.Random(SEED)
    torch.manual_seed(SEED)
    everyone = invent(5000, rng)
    train, valid, test = everyone[:3600], everyone[3600:4200], everyone[4200:]
    train_loader = DataLoader(train, batch_sampler=BucketSampler([len(n) for n, _ in train], 32, rng), collate_fn=collate)
    valid_loader = DataLoader(valid, batch_size=200, collate_fn=collate)
    test_loader = DataLoader(test, batch_size=200, collate_fn=collate)

    model = NameLSTM()
    optimizer = torch.optim.Adam(model.parameters(), lr=3e-3)
    criterion = nn.CrossEntropyLoss()

    def accuracy(loader):
        model.eval()
        with torch.no_grad():
            hits = [(model(n, l).argmax(1) == v).float() for n, l, v in loader]
        return torch.cat(hits).mean().item()

    best, best_weights = 0.0, None
    for epoch in range(10):
        model.train()
        total = 0.0
        for names, lengths, valleys in train_loader:
            optimizer.zero_grad()
            loss = criterion(model(names, lengths), valleys)
            loss.backward()
            nn.utils.clip_grad_norm_(model.parameters(), 5.0)
            optimizer.step()
            total += loss.item()
        acc = accuracy(valid_loader)
        if acc > best:
            best, best_weights = acc, {k: v.clone() for k, v in model.state_dict().items()}
        print(f"epoch {epoch}: loss {total / len(train_loader):.4f}  valid {acc:.4f}")
        for group in optimizer.param_groups:
            group["lr"] *= 0.8
    model.load_state_dict(best_weights)
    print(f"test accuracy {accuracy(test_loader):.4f}")


if __name__ == "__main__":
    main()
