"""Steward notes: sort short cabin-crew reports into five desks with a bag-of-embeddings plus conv text model."""
import re
from collections import Counter

import numpy as np
import torch
import torch.nn as nn
import torch.nn.functional as F
from sklearn.metrics import f1_score

torch.manual_seed(19)
rng = np.random.default_rng(19)

DESKS = {
    "galley": "oven trolley kettle tray coffee meal ice drawer cart latch spill menu bread water",
    "seats": "recliner armrest headrest cushion belt buckle screen table footrest row fabric lever stuck tilt",
    "medical": "faint fever nausea plaster oxygen doctor dizzy allergy burn bruise bandage insulin rash asthma",
    "service": "rude complaint refund upgrade blanket waiting apology noisy vegetarian newspaper delay voucher smile crew",
    "technical": "lamp leak smell smoke panel fuse vibration rattle sensor alarm fan cable flicker pump",
}
FILLER = ("passenger on the in at during flight reported again after before near side left right front rear was has "
          "been seen by staff today second asked please check note returned told about with very little still").split()
CODES = [f"ref{k}" for k in range(400)]


def write_note(desk):
    names = list(DESKS)
    own = DESKS[names[desk]].split()
    other = DESKS[names[(desk + rng.integers(1, len(names))) % len(names)]].split()
    words = list(rng.choice(own, rng.integers(2, 4))) + list(rng.choice(other, 1))
    words += list(rng.choice(FILLER, rng.integers(8, 16))) + [rng.choice(CODES)]
    rng.shuffle(words)
    return " ".join(words)


def corpus(n):
    desks = rng.integers(0, len(DESKS), n)
    return [write_note(d) for d in desks], torch.from_numpy(desks)


def tokenize(note):
    return re.findall(r"[a-z0-9]+", note.lower())


def build_vocab(notes, min_count=2):
    counts = Counter(w for n in notes for w in tokenize(n))
    return {w: i + 2 for i, w in enumerate(sorted(w for w, c in counts.items() if c >= min_count))}


def encode(notes, vocab, max_len=24):
    out = torch.zeros(len(notes), max_len, dtype=torch.long)
    for row, note in zip(out, notes):
        ids = [vocab.get(w, 1) for w in tokenize(note)][:max_len]
        row[: len(ids)] = torch.tensor(ids)
    return out


class NoteModel(nn.Module):
    def __init__(self, vocab_size, n_desks, dim=48, width=64):
        super().__init__()
        self.emb = nn.Embedding(vocab_size, dim, padding_idx=0)
        self.conv = nn.Conv1d(dim, width, 3, padding=1)
        self.drop = nn.Dropout(0.3)
        self.out = nn.Linear(width, n_desks)

    def forward(self, ids):
        keep = (ids != 0).unsqueeze(1)
        h = F.relu(self.conv(self.emb(ids).transpose(1, 2)))
        return self.out(self.drop(h.masked_fill(~keep, 0.0).amax(-1)))


def train(model, x, y, epochs=12, batch=50):
    opt = torch.optim.Adam(model.parameters(), lr=2e-3, betas=(0.9, 0.98), weight_decay=1e-5)
    sched = torch.optim.lr_scheduler.CosineAnnealingLR(opt, epochs * (len(x) // batch))
    for epoch in range(1, epochs + 1):
        model.train()
        total = 0.0
        for idx in torch.randperm(len(x)).split(batch):
            loss = F.cross_entropy(model(x[idx]), y[idx])
            opt.zero_grad()
            loss.backward()
            nn.utils.clip_grad_norm_(model.parameters(), 1.0)
            opt.step()
            sched.step()
            total += loss.item() * len(idx)
        if epoch % 2 == 0:
            print(f"epoch {epoch:2d}  loss {total / len(x):.4f}")


@torch.no_grad()
def predict(model, x):
    model.eval()
    return model(x).argmax(1)


def main():
    notes, desks = corpus(2500)
    test_notes, test_desks = corpus(1000)
    vocab = build_vocab(notes)
    x, x_test = encode(notes, vocab), encode(test_notes, vocab)
    model = NoteModel(len(vocab) + 2, len(DESKS))
    train(model, x, desks)
    pred = predict(model, x_test)
    print(f"macro F1 {f1_score(test_desks.numpy(), pred.numpy(), average='macro'):.3f}")
    print(f"notes at the right desk {(pred == test_desks).float().mean().item():.3f}")


if __name__ == "__main__":
    main()
