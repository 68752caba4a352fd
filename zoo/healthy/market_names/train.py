"""Which valley does a family name come from? The training is interrupted and goes on from its checkpoint."""
import os
import random
import tempfile

import torch
import torch.nn as nn

VALLEYS = {
    "north": (["sk", "br", "th", "h", "f", "gr"], ["a", "o", "au"], ["rn", "ld", "k", "rk", ""], ["sson", "vik", "dal", ""]),
    "east": (["z", "k", "v", "dr", "m", "p"], ["a", "i", "e"], ["sk", "v", "n", "l", ""], ["ov", "ak", "ik", ""]),
    "south": (["m", "b", "r", "c", "f", "p"], ["a", "o", "e", "i"], ["", "n", "l", "r"], ["elli", "ino", "etto", ""]),
    "west": (["k", "p", "tr", "l", "g", "m"], ["e", "o", "ou"], ["r", "n", "rn", "z", ""], ["ec", "ic", "oux", ""]),
}
VOCAB = {c: i for i, c in enumerate(" abcdefghijklmnopqrstuvwxyz")}
LONGEST = 16


def make_name(rng, valley):
    onset, nucleus, coda, ending = VALLEYS[valley]
    name = "".join(rng.choice(onset) + rng.choice(nucleus) + rng.choice(coda) for _ in range(rng.randint(1, 2)))
    return (name + rng.choice(ending))[:LONGEST]


def encode(name):
    ids = [VOCAB[c] for c in name]
    return ids + [0] * (LONGEST - len(ids))


def load_data():
    rng = random.Random(5)
    labelled = {}
    for _ in range(3600):
        label = rng.randrange(len(VALLEYS))
        labelled.setdefault(make_name(rng, list(VALLEYS)[label]), label)  # every name once
    names = list(labelled)
    x = torch.tensor([encode(n) for n in names])
    y = torch.tensor([labelled[n] for n in names])
    cut = len(names) * 4 // 5
    return x[:cut], y[:cut], x[cut:], y[cut:]


class NameNet(nn.Module):
    """Convolutions over the letters, maximum over the places that hold a letter."""

    def __init__(self, dim=16, maps=32):
        super().__init__()
        self.letters = nn.Embedding(len(VOCAB), dim, padding_idx=0)
        self.convs = nn.ModuleList(nn.Conv1d(dim, maps, w, padding=w // 2) for w in (3, 5))
        self.drop = nn.Dropout(0.2)
        self.out = nn.Linear(2 * maps, len(VALLEYS))

    def forward(self, ids):
        e = self.letters(ids).transpose(1, 2)
        absent = (ids == 0).unsqueeze(1)
        pooled = [conv(e).relu().masked_fill(absent, 0.0).amax(2) for conv in self.convs]
        return self.out(self.drop(torch.cat(pooled, 1)))


def train(path, data, last_epoch, total_epochs=8, size=64):
    """Goes on from the checkpoint at path if there is one, and leaves one behind."""
    x, y, x_test, y_test = data
    model = NameNet()
    optimizer = torch.optim.Adam(model.parameters(), lr=4e-3)
    per_epoch = len(x) // size
    scheduler = torch.optim.lr_scheduler.CosineAnnealingLR(optimizer, total_epochs * per_epoch)
    first = 0
    if os.path.exists(path):
        saved = torch.load(path)
        model.load_state_dict(saved["model"])
        optimizer.load_state_dict(saved["optimizer"])
        scheduler.load_state_dict(saved["scheduler"])
        torch.set_rng_state(saved["rng"])
        first = saved["epoch"]
        print(f"resumed after epoch {first}")
    for epoch in range(first, last_epoch):
        model.train()
        total = 0.0
        order = torch.randperm(len(x))
        for b in range(per_epoch):
            rows = order[b * size : (b + 1) * size]
            loss = nn.functional.cross_entropy(model(x[rows]), y[rows])
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
            scheduler.step()
            total += loss.item()
        model.eval()
        with torch.no_grad():
            accuracy = (model(x_test).argmax(1) == y_test).float().mean()
        print(f"epoch {epoch + 1} loss {total / per_epoch:.4f} test accuracy {accuracy:.4f}")
    torch.save(
        {
            "model": model.state_dict(),
            "optimizer": optimizer.state_dict(),
            "scheduler": scheduler.state_dict(),
            "rng": torch.get_rng_state(),
            "epoch": last_epoch,
        },
        path,
    )


torch.manual_seed(12)
data = load_data()
with tempfile.TemporaryDirectory() as folder:
    checkpoint = os.path.join(folder, "names.pt")
    train(checkpoint, data, last_epoch=3)
    train(checkpoint, data, last_epoch=8)
