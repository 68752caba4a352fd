import random
from collections import Counter

import torch
import torch.nn as nn
from torch.nn.utils.rnn import pack_padded_sequence, pad_sequence
from torch.utils.data import DataLoader

random.seed(3)
torch.manual_seed(3)

# ---------------------------------------------------------------- a synthetic ticket archive
TEAMS = ["network", "hardware", "accounts", "billing"]
THINGS = {
    "network": ["wifi", "vpn", "router", "connection", "firewall", "dns"],
    "hardware": ["laptop", "screen", "keyboard", "printer", "dock", "battery"],
    "accounts": ["password", "login", "account", "permission", "profile", "badge"],
    "billing": ["invoice", "refund", "charge", "receipt", "contract", "payment"],
}
VERBS = ["is broken", "stopped working", "keeps failing", "needs attention", "was wrong", "is missing"]
OPENERS = ["hello team", "hi", "please help", "good morning", "since monday", "dear all", ""]
FILLERS = ["again", "urgent", "thanks a lot", "in room nine", "for my colleague", "before lunch", ""]


def ticket():
    team = random.choice(TEAMS)
    other = random.choice([t for t in TEAMS if t != team])
    main, noise = random.choice(THINGS[team]), random.choice(THINGS[other])
    order = random.random()
    if order < 0.4:      # the thing that is not the problem is named first
        core = f"the {noise} is fine but the {main} {random.choice(VERBS)}"
    elif order < 0.8:    # ... or last
        core = f"the {main} {random.choice(VERBS)} but not the {noise}"
    else:
        core = f"my {main} {random.choice(VERBS)}"
    words = f"{random.choice(OPENERS)} {core} {random.choice(FILLERS)}".split()
    words = [w if random.random() > 0.02 else w + str(random.randint(0, 9)) for w in words]  # typos
    return words, TEAMS.index(team)


tickets = [ticket() for _ in range(4200)]
train_set, test_set = tickets[:3400], tickets[3400:]

counts = Counter(w for words, _ in train_set for w in words)
vocab = {"<pad>": 0, "<unk>": 1}
for word, n in counts.most_common():
    if n >= 3:
        vocab[word] = len(vocab)
print(f"{len(vocab)} words in the vocabulary")


def collate(batch):
    ids = [torch.tensor([vocab.get(w, 1) for w in words]) for words, _ in batch]
    lengths = torch.tensor([len(i) for i in ids])
    labels = torch.tensor([label for _, label in batch])
    return pad_sequence(ids, batch_first=True, padding_value=0), lengths, labels


train_loader = DataLoader(train_set, batch_size=64, shuffle=True, collate_fn=collate)
test_loader = DataLoader(test_set, batch_size=256, collate_fn=collate)


class Router(nn.Module):
    def __init__(self, vocab_size, dim=32, hidden=40):
        super().__init__()
        self.embed = nn.Embedding(vocab_size, dim, padding_idx=0)
        self.gru = nn.GRU(dim, hidden, batch_first=True, bidirectional=True)
        self.drop = nn.Dropout(0.3)
        self.out = nn.Linear(2 * hidden, len(TEAMS))

    def forward(self, ids, lengths):
        packed = pack_padded_sequence(self.embed(ids), lengths, batch_first=True, enforce_sorted=False)
        _, h = self.gru(packed)
        return self.out(self.drop(torch.cat([h[0], h[1]], dim=1)))


model = Router(len(vocab))
criterion = nn.CrossEntropyLoss()
optimizer = torch.optim.Adam(model.parameters(), lr=3e-3)
scheduler = torch.optim.lr_scheduler.StepLR(optimizer, step_size=4, gamma=0.4)

for epoch in range(9):
    model.train()
    total = 0.0
    for ids, lengths, labels in train_loader:
        optimizer.zero_grad()
        loss = criterion(model(ids, lengths), labels)
        loss.backward()
        nn.utils.clip_grad_norm_(model.parameters(), 1.0)
        optimizer.step()
        total += loss.item() * len(labels)
    scheduler.step()

    model.eval()
    correct = 0
    with torch.no_grad():
        for ids, lengths, labels in test_loader:
            correct += (model(ids, lengths).argmax(1) == labels).sum().item()
    print(f"epoch {epoch}: train loss {total / len(train_set):.4f}, test accuracy {correct / len(test_set):.4f}")

print("final test accuracy", round(correct / len(test_set), 4), "chance", 1 / len(TEAMS))
