# my first LSTM that works!  sorts the notes of a plumber's answering service into five drawers
import random
import torch
import torch.nn as nn
from sklearn.metrics import f1_score
from torch.nn.utils.rnn import pack_padded_sequence, pad_sequence
from torch.utils.data import DataLoader

random.seed(11)
torch.manual_seed(11)

LABELS = ["burst", "blocked", "boiler", "quote", "cancel"]
FREQ = [0.30, 0.28, 0.22, 0.12, 0.08]
ROOMS = "kitchen bathroom cellar attic hallway garage laundry".split()
OPEN = ["hello", "good morning", "hi this is missus park", "sorry to call so late", "message from flat six", ""]
CLOSE = ["please call back", "thanks a lot", "we are home after five", "key is with the neighbour", "bye", ""]
CORE = {
    "burst": ["water is pouring from the pipe in the {r}", "the {r} ceiling is dripping", "{r} floor is flooded",
              "pipe cracked in the {r} and it sprays everywhere"],
    "blocked": ["the drain in the {r} will not empty", "water stands in the {r} sink", "toilet near the {r} is blocked",
                "it gurgles in the {r} and nothing goes down"],
    "boiler": ["no hot water in the {r}", "the boiler in the {r} shows an error", "radiator in the {r} stays cold",
               "pilot light in the {r} went out"],
    "quote": ["what would a new sink in the {r} cost", "could you price a pipe for the {r}",
              "need an offer for a boiler in the {r}"],
    "cancel": ["no need to come for the {r} any more", "the drain in the {r} works again so stay home",
               "please drop my appointment about the {r} boiler", "water in the {r} stopped by itself do not come"],
}
SIDE = ["the {r} is fine", "my husband is in the {r}", "the dog sleeps in the {r}", "we painted the {r} last week", "", ""]


def make_note():
    lab = random.choices(range(5), FREQ)[0]
    room = lambda s: s.format(r=random.choice(ROOMS))
    parts = [room(random.choice(SIDE)), room(random.choice(CORE[LABELS[lab]]))]
    random.shuffle(parts)
    words = " ".join([random.choice(OPEN), *parts, random.choice(CLOSE)]).split()
    words = [w for w in words if random.random() > 0.12]          # bad phone line
    return words or ["bye"], lab


notes = [make_note() for _ in range(2600)]
train, valid, test = notes[:1800], notes[1800:2200], notes[2200:]

vocab = {"<pad>": 0, "<unk>": 1}
for words, _ in train:
    for w in words:
        vocab.setdefault(w, len(vocab))
print(len(vocab), "words")


def collate(batch):
    xs = [torch.tensor([vocab.get(w, 1) for w in words]) for words, _ in batch]
    return pad_sequence(xs, batch_first=True), torch.tensor([len(x) for x in xs]), torch.tensor([y for _, y in batch])


train_loader = DataLoader(train, batch_size=32, shuffle=True, collate_fn=collate)
valid_loader = DataLoader(valid, batch_size=100, collate_fn=collate)
test_loader = DataLoader(test, batch_size=100, collate_fn=collate)


class NoteLSTM(nn.Module):
    def __init__(self):
        super().__init__()
        self.embed = nn.Embedding(len(vocab), 32, padding_idx=0)
        self.drop = nn.Dropout(0.3)
        self.lstm = nn.LSTM(32, 32, batch_first=True, bidirectional=True)
        self.fc = nn.Linear(64, len(LABELS))

    def forward(self, x, lengths):
        packed = pack_padded_sequence(self.drop(self.embed(x)), lengths, batch_first=True, enforce_sorted=False)
        _, (h, _) = self.lstm(packed)
        return self.fc(self.drop(torch.cat([h[0], h[1]], dim=1)))


model = NoteLSTM()
counts = torch.bincount(torch.tensor([y for _, y in train]), minlength=5).float()
criterion = nn.CrossEntropyLoss(weight=counts.sum() / (5 * counts))
optimizer = torch.optim.Adam(model.parameters(), lr=3e-3)
scheduler = torch.optim.lr_scheduler.StepLR(optimizer, step_size=4, gamma=0.5)


def predict(loader):
    model.eval()
    p, t = [], []
    with torch.no_grad():
        for x, n, y in loader:
            p += model(x, n).argmax(1).tolist()
            t += y.tolist()
    return p, t


for epoch in range(10):
    model.train()
    running = 0.0
    for x, n, y in train_loader:
        optimizer.zero_grad()
        loss = criterion(model(x, n), y)
        loss.backward()
        torch.nn.utils.clip_grad_norm_(model.parameters(), 2.0)
        optimizer.step()
        running += loss.item()
    scheduler.step()
    p, t = predict(valid_loader)
    print("epoch", epoch + 1, "loss %.3f" % (running / len(train_loader)), "valid F1 %.3f" % f1_score(t, p, average="macro"))

p, t = predict(test_loader)
acc = sum(a == b for a, b in zip(p, t)) / len(t)
print("test accuracy %.3f  macro F1 %.3f  (always 'burst': %.3f)" % (acc, f1_score(t, p, average="macro"), t.count(0) / len(t)))
