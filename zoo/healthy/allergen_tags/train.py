# Which of eight allergens does a dish contain? Read from its name, letter by letter.
import random
import string

import torch
import torch.nn as nn

ALLERGENS = ["milk", "egg", "nuts", "gluten", "fish", "soy", "celery", "mustard"]
PARTS = {
    "cheese": [0], "butter": [0], "cream": [0], "custard": [0, 1], "omelette": [1, 0], "meringue": [1], "almond": [2],
    "pesto": [2, 0], "praline": [2, 0], "bread": [3], "noodles": [3, 1], "couscous": [3], "dumpling": [3], "salmon": [4],
    "herring": [4], "tofu": [5], "miso": [5], "broth": [6], "waldorf": [6, 2, 1], "dijon": [7], "piccalilli": [7, 6],
    "rice": [], "tomato": [], "apple": [], "potato": [], "lentil": [], "carrot": [], "grilled": [], "cold": [],
    "spicy": [], "country": [], "plum": [], "pepper": [],
}  # fmt: skip
LETTERS = " " + string.ascii_lowercase
PAD, MAXLEN = len(LETTERS), 44


def dish():
    words = random.sample(list(PARTS), random.randint(2, 4))
    name = " ".join(words)
    if random.random() < 0.4:  # kitchens write by hand: one leaves a letter out
        k = random.randrange(len(name))
        name = name[:k] + name[k + 1 :]
    inside = torch.zeros(len(ALLERGENS))
    for w in words:
        inside[PARTS[w]] = 1.0
    return name, inside


def encode(names):
    ids = torch.full((len(names), MAXLEN), PAD)
    for row, name in zip(ids, names):
        row[: len(name)] = torch.tensor([LETTERS.index(c) for c in name[:MAXLEN]])
    return ids


class Tagger(nn.Module):
    def __init__(self, dim=20, channels=56):
        super().__init__()
        self.letters = nn.Embedding(len(LETTERS) + 1, dim, padding_idx=PAD)
        self.grams = nn.ModuleList([nn.Conv1d(dim, channels, k, padding=k // 2) for k in (3, 5)])
        self.drop = nn.Dropout(0.25)
        self.out = nn.Linear(2 * channels, len(ALLERGENS))

    def forward(self, ids):
        e = self.letters(ids).transpose(1, 2)
        beyond = (ids == PAD).unsqueeze(1)
        pooled = [g(e).relu().masked_fill(beyond, 0.0).amax(2) for g in self.grams]
        return self.out(self.drop(torch.cat(pooled, 1)))


random.seed(8)
torch.manual_seed(8)
names, inside = zip(*[dish() for _ in range(2600)])
ids, inside = encode(names), torch.stack(inside)
known = set(names[:2000])
new = [i for i in range(2000, 2600) if names[i] not in known]
x_train, y_train, x_test, y_test = ids[:2000], inside[:2000], ids[new], inside[new]

model = Tagger()
bce = nn.BCEWithLogitsLoss(reduction="none")
opt = torch.optim.RMSprop(model.parameters(), lr=4e-3)
sched = torch.optim.lr_scheduler.ExponentialLR(opt, gamma=0.8)

for epoch in range(10):
    model.train()
    seen = 0.0
    order = torch.randperm(len(x_train))
    for k in range(0, len(order), 50):
        rows = order[k : k + 50]
        loss = bce(model(x_train[rows]), y_train[rows]).sum(dim=1).mean()
        opt.zero_grad()
        loss.backward()
        opt.step()
        seen += loss.item() * len(rows)
    sched.step()

    model.eval()
    with torch.no_grad():
        said = model(x_test) > 0
    truth = y_test.bool()
    hits = (said & truth).sum()
    f1 = 2 * hits / (said.sum() + truth.sum())
    whole = (said == truth).all(1).float().mean()
    print(f"epoch {epoch}: loss per dish {seen / len(order):.3f}, new dishes: F1 {f1:.3f}, all eight right {whole:.3f}")
