import random

import torch
from torch import nn
from torch.nn.utils.rnn import pad_sequence

FILLER = "the a it was so i my we they really this that then still again here with for day one".split()
GOOD = "lovely great happy sunny superb kind".split()
BAD = "awful sad broken late rude dull".split()
NEGATORS = "not never hardly".split()
VOCAB = {w: i for i, w in enumerate(["<pad>", "<cls>", *FILLER, *GOOD, *BAD, *NEGATORS])}
MAX_LEN = 22


def message(rng):
    words = rng.choices(FILLER, k=rng.randint(3, 12))
    mood = rng.random() < 0.5
    for _ in range(rng.choice([1, 1, 3])):
        flip = rng.random() < 0.4
        word = rng.choice(GOOD if mood != flip else BAD)
        spot = rng.randint(0, len(words))
        words[spot:spot] = [rng.choice(NEGATORS), word] if flip else [word]
    return [VOCAB["<cls>"]] + [VOCAB[w] for w in words], float(mood)


def collate(items):
    ids = [torch.tensor(i) for i, _ in items]
    x = pad_sequence(ids, batch_first=True, padding_value=0)
    x = nn.functional.pad(x, (0, MAX_LEN - x.size(1)))
    return x, torch.tensor([m for _, m in items])


class MoodModel(nn.Module):
    def __init__(self, width=32):
        super().__init__()
        self.embed = nn.Embedding(len(VOCAB), width, padding_idx=0)
        self.place = nn.Parameter(torch.randn(MAX_LEN, width) * 0.1)
        layer = nn.TransformerEncoderLayer(width, 4, 48, dropout=0.05, batch_first=True, norm_first=True)
        self.encoder = nn.TransformerEncoder(layer, 2, norm=nn.LayerNorm(width), enable_nested_tensor=False)
        self.head = nn.Linear(width, 1)

    def forward(self, ids):
        padding = ids != 0
        h = self.embed(ids) + self.place
        h = self.encoder(h, src_key_padding_mask=padding)
        return self.head(h[:, 0]).squeeze(-1)


def accuracy(model, batches):
    was_training = model.training
    model.eval()
    hits = count = 0
    with torch.no_grad():
        for x, y in batches:
            hits += ((model(x) > 0).float() == y).sum().item()
            count += len(y)
    model.train(was_training)
    return hits / count


rng = random.Random(3)
torch.manual_seed(3)
corpus = [message(rng) for _ in range(2400)]
train, dev = corpus[:2000], corpus[2000:]
dev_batches = [collate(dev[i : i + 100]) for i in range(0, len(dev), 100)]
model = MoodModel()
optimizer = torch.optim.AdamW(model.parameters(), lr=4e-3)
warmup = torch.optim.lr_scheduler.LambdaLR(optimizer, lambda s: min(1.0, (s + 1) / 40))

step = 0
for epoch in range(4):
    rng.shuffle(train)
    for i in range(0, len(train), 32):
        x, y = collate(train[i : i + 32])
        loss = nn.functional.binary_cross_entropy_with_logits(model(x), y)
        optimizer.zero_grad()
        loss.backward()
        nn.utils.clip_grad_norm_(model.parameters(), 1.0)
        optimizer.step()
        warmup.step()
        step += 1
    print(f"step {step:4d} loss {loss.item():.3f} dev accuracy {accuracy(model, dev_batches):.3f}")
