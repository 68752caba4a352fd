import os
import random
import re
from collections import Counter

import numpy as np
import torch
from torch import nn
from torch.utils.data import DataLoader

SEED = int(os.environ.get("SEED", "0"))
random.seed(SEED)
np.random.seed(SEED)
torch.manual_seed(SEED)
torch.set_num_threads(1)

QUEUES = {
    "billing": "invoice refund charge payment card amount receipt",
    "login": "password account locked reset login username token",
    "delivery": "parcel courier tracking late shipment address driver",
    "hardware": "screen battery fan keyboard broken cable adapter",
    "network": "wifi router signal vpn connection latency dns",
    "licence": "licence key activation seat expired renewal upgrade",
    "printing": "printer toner paper tray jam scanner ink",
    "mail": "mailbox attachment spam outlook forward calendar sender",
    "training": "course manual webinar lesson trainer certificate onboarding",
    "hr": "holiday payslip contract leave overtime shift badge",
    "facility": "door heating parking window lamp kitchen elevator",
    "database": "query table backup index schema restore replica",
}
FILLER = ("hello please help since yesterday the a my our with when again still cannot works not after before "
          "today urgent thanks team regards issue problem see it is and for to").split()


def write_ticket(queue):
    words = random.choices(FILLER, k=random.randint(5, 12))
    for _ in range(random.randint(2, 4)):
        source = queue if random.random() < 0.75 else random.choice(list(QUEUES))
        words.append(random.choice(QUEUES[source].split()))
    random.shuffle(words)
    text = " ".join(words)
    return text.capitalize() + random.choice([".", "!", " ...", ""])


def make_corpus(n):
    names = list(QUEUES)
    labels = [random.randrange(len(names)) for _ in range(n)]
    return [write_ticket(names[k]) for k in labels], labels


def tokenize(text):
    return re.findall(r"[a-z]+", text.lower())


class Vocabulary:
    def __init__(self, texts, min_count=2):
        counts = Counter(w for t in texts for w in tokenize(t))
        self.index = {"<unk>": 0}
        for word, c in counts.most_common():
            if c >= min_count:
                self.index[word] = len(self.index)

    def __len__(self):
        return len(self.index)

    def encode(self, text):
        return [self.index.get(w, 0) for w in tokenize(text)] or [0]


class TicketRouter(nn.Module):
    def __init__(self, n_words, n_queues, dim=32, hidden=64):
        super().__init__()
        self.emb = nn.EmbeddingBag(n_words, dim, mode="mean")
        self.body = nn.Sequential(nn.Linear(dim, hidden), nn.ReLU(), nn.Dropout(0.1))
        self.out = nn.Linear(hidden, n_queues)

    def forward(self, tokens, offsets):
        h = self.body(self.emb(tokens, offsets))
        # probabilities of the queues
        return torch.softmax(self.out(h), dim=1)


def collate(batch):
    ids, labels = zip(*batch)
    offsets = np.cumsum([0] + [len(i) for i in ids[:-1]])
    flat = torch.tensor([w for i in ids for w in i])
    return flat, torch.tensor(offsets), torch.tensor(labels)


def evaluate(model, loader):
    model.eval()
    hits = total = 0
    with torch.no_grad():
        for tokens, offsets, labels in loader:
            hits += (model(tokens, offsets).argmax(1) == labels).sum().item()
            total += len(labels)
    return hits / total


def main():
    train_texts, train_labels = make_corpus(4000)
    test_texts, test_labels = make_corpus(1200)
    vocab = Vocabulary(train_texts)
    train = [(vocab.encode(t), y) for t, y in zip(train_texts, train_labels)]
    test = [(vocab.encode(t), y) for t, y in zip(test_texts, test_labels)]
    train_loader = DataLoader(train, batch_size=32, shuffle=True, collate_fn=collate)
    test_loader = DataLoader(test, batch_size=200, collate_fn=collate)

    model = TicketRouter(len(vocab), len(QUEUES))
    criterion = nn.CrossEntropyLoss()
    optimizer = torch.optim.SGD(model.parameters(), lr=0.1, momentum=0.9)
    scheduler = torch.optim.lr_scheduler.StepLR(optimizer, step_size=6, gamma=0.5)
    for epoch in range(12):
        model.train()
        losses = []
        for tokens, offsets, labels in train_loader:
            optimizer.zero_grad()
            probs = model(tokens, offsets)
            loss = criterion(probs, labels)
            loss.backward()
            optimizer.step()
            losses.append(loss.item())
        scheduler.step()
        print(f"epoch {epoch + 1:2d}  loss {np.mean(losses):.4f}  test {evaluate(model, test_loader):.3f}")
    print(f"routed correctly: {evaluate(model, test_loader):.4f}")


if __name__ == "__main__":
    main()
