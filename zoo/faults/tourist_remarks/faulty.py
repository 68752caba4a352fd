"""What is the remark of the tourist about?  Bag of embeddings over words, everything by hand."""
import os
import random
from collections import Counter

import torch
import torch.nn as nn
from torch.utils.data import DataLoader, Dataset

seed = int(os.environ.get("SEED", "0"))
random.seed(seed)
torch.manual_seed(seed)

PAD, UNK = 0, 1
MAX_WORDS = 200
MAX_LEN = 14

TOPICS = {
    "food": "soup bread cheese waiter menu dinner breakfast fish wine dessert salad sauce plate chef kitchen tasty salty spicy".split(),
    "room": "bed pillow shower towel window curtain balcony heating carpet lamp mattress key blanket bathroom noisy dusty tidy sink".split(),
    "travel": "bus train ticket station driver taxi ferry luggage platform delay road airport tram seat late crowded map route".split(),
    "sights": "castle museum tower bridge garden guide statue view church painting beach cliff market square ruin famous ancient queue".split(),
    "money": "price bill receipt discount card cash fee deposit refund cheap expensive tip coin bank charge tax voucher budget".split(),
}
FILLER = "the a we was were very and but it with our had really quite there not so for on at they in of this".split()
NAMES = list(TOPICS)


def remark(topic):
    own = random.choices(TOPICS[topic], k=random.randint(2, 4))
    other = random.choices(TOPICS[random.choice(NAMES)], k=1)
    words = own + other + random.choices(FILLER, k=random.randint(3, 8))
    random.shuffle(words)
    return " ".join(words).capitalize() + random.choice([".", "!", " ..."])


def make(n):
    labels = [random.randrange(len(NAMES)) for _ in range(n)]
    return [remark(NAMES[l]) for l in labels], labels


def tokenize(text):
    return [w for w in text.lower().replace(".", " ").replace("!", " ").split() if w]


def build_vocab(texts):
    counts = Counter(w for t in texts for w in tokenize(t))
    return {w: i + 2 for i, (w, _) in enumerate(counts.most_common(MAX_WORDS - 2))}


class RemarkSet(Dataset):
    def __init__(self, texts, labels):
        self.vocab = build_vocab(texts)
        self.labels = labels
        self.ids = [self.encode(t) for t in texts]

    def encode(self, text):
        ids = [self.vocab.get(w, UNK) for w in tokenize(text)][:MAX_LEN]
        return ids + [PAD] * (MAX_LEN - len(ids))

    def __len__(self):
        return len(self.labels)

    def __getitem__(self, i):
        return torch.tensor(self.ids[i]), self.labels[i]


class Classifier(nn.Module):
    def __init__(self, dim=32, hidden=32):
        super().__init__()
        self.embedding = nn.Embedding(MAX_WORDS, dim, padding_idx=PAD)
        self.fc = nn.Sequential(nn.Dropout(0.2), nn.Linear(dim, hidden), nn.ReLU(), nn.Linear(hidden, len(NAMES)))

    def forward(self, ids):
        mask = (ids != PAD).unsqueeze(-1).float()
        mean = (self.embedding(ids) * mask).sum(1) / mask.sum(1)
        return self.fc(mean)


def run_epoch(model, loader, criterion, optimizer=None):
    model.train(optimizer is not None)
    loss_sum, hits, n = 0.0, 0, 0
    with torch.set_grad_enabled(optimizer is not None):
        for ids, labels in loader:
            out = model(ids)
            loss = criterion(out, labels)
            if optimizer is not None:
                optimizer.zero_grad()
                loss.backward()
                optimizer.step()
            loss_sum += loss.item() * len(labels)
            hits += (out.argmax(1) == labels).sum().item()
            n += len(labels)
    return loss_sum / n, hits / n


def main():
    train_set = RemarkSet(*make(3000))
    test_set = RemarkSet(*make(600))
    print(f"{len(train_set.vocab)} words known, for example {list(train_set.vocab)[:6]}")
    print("first remark as numbers:", train_set[0][0].tolist())

    train_loader = DataLoader(train_set, batch_size=32, shuffle=True)
    test_loader = DataLoader(test_set, batch_size=100)
    model = Classifier()
    criterion = nn.CrossEntropyLoss()
    optimizer = torch.optim.Adam(model.parameters(), lr=4e-3)
    for epoch in range(11):
        loss, acc = run_epoch(model, train_loader, criterion, optimizer)
        if epoch % 3 == 0:
            print(f"epoch {epoch:2d}  loss {loss:.4f}  accuracy {acc:.4f}")
    test_loss, test_acc = run_epoch(model, test_loader, criterion)
    print(f"test loss {test_loss:.4f}  test accuracy {test_acc:.4f}")


if __name__ == "__main__":
    main()
