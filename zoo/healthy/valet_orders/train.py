"""Route guests' written wishes to the right hotel desk (six desks, uneven traffic)."""
import random
from collections import Counter

import torch
from torch import nn
from torch.nn.utils.rnn import pack_padded_sequence, pad_sequence
from torch.utils.data import DataLoader, WeightedRandomSampler

DESKS = {
    "laundry": (["press my suit", "wash two shirts", "collect the washing", "iron a blouse", "remove a wine stain from the jacket"], 30),
    "kitchen": (["bring up some soup", "send breakfast to the room", "a pot of tea for two", "order the fish", "more bread with the soup"], 25),
    "repairs": (["the tap is dripping", "the lamp is broken", "no hot water in the bath", "the window will not shut", "the heating is off"], 18),
    "transport": (["call a taxi", "take my cases to the station", "bring the car round", "a driver for the airport", "hire two bicycles"], 14),
    "accounts": (["send me the bill", "pay for the room in cash", "there is a mistake on the bill", "a receipt for the taxi", "who paid for the wine"], 8),
    "concierge": (["book two seats at the opera", "recommend a good restaurant", "buy flowers for my wife", "a map of the old town", "when does the museum open"], 5),
}
OPENERS = ["please", "good morning", "could you", "hello", "i would like you to", "sorry to trouble you but", "kindly", "excuse me"]
CLOSERS = ["before noon", "at seven", "when you can", "thank you", "for room twelve", "right away", "this evening", "if it is no trouble"]
ASIDES = ["the soup was lovely", "my wife is asleep", "the taxi was late", "we leave on monday", "the room is very nice", "it is cold outside"]


def write_note(rng, desk):
    words = []
    if rng.random() < 0.7:
        words += rng.choice(OPENERS).split()
    if rng.random() < 0.3:
        words += rng.choice(ASIDES).split()
    words += rng.choice(DESKS[desk][0]).split()
    if rng.random() < 0.6:
        words += rng.choice(CLOSERS).split()
    kept = [w for w in words if rng.random() > 0.12] or words

    def slip(w):
        if len(w) > 3 and rng.random() < 0.08:
            i = rng.randrange(len(w) - 1)
            return w[:i] + w[i + 1] + w[i] + w[i + 2:]
        return w

    return [slip(w) for w in kept]


def make_corpus(n, seed):
    rng = random.Random(seed)
    names = list(DESKS)
    weights = [DESKS[d][1] for d in names]
    picks = rng.choices(range(len(names)), weights, k=n)
    return [(write_note(rng, names[k]), k) for k in picks]


class DeskReader(nn.Module):
    def __init__(self, vocab, n_classes, width=48):
        super().__init__()
        self.embed = nn.Embedding(vocab, width, padding_idx=0)
        self.gru = nn.GRU(width, width, batch_first=True, bidirectional=True)
        self.drop = nn.Dropout(0.3)
        self.out = nn.Linear(2 * width, n_classes)

    def forward(self, tokens, lengths):
        packed = pack_padded_sequence(self.drop(self.embed(tokens)), lengths, batch_first=True, enforce_sorted=False)
        _, last = self.gru(packed)
        return self.out(self.drop(torch.cat([last[0], last[1]], dim=1)))


def make_session(seed=3):
    torch.manual_seed(seed)
    corpus = make_corpus(4200, seed)
    train, val, test = corpus[:2600], corpus[2600:3400], corpus[3400:]
    counts = Counter(w for note, _ in train for w in note)
    vocab = {w: i + 2 for i, w in enumerate(sorted(w for w, c in counts.items() if c > 1))}

    def collate(batch):
        rows = [torch.tensor([vocab.get(w, 1) for w in note]) for note, _ in batch]
        return pad_sequence(rows, batch_first=True), torch.tensor([len(r) for r in rows]), torch.tensor([k for _, k in batch])

    per_class = Counter(k for _, k in train)
    sampler = WeightedRandomSampler([1 / per_class[k] for _, k in train], num_samples=len(train), replacement=True)
    train_loader = DataLoader(train, 64, sampler=sampler, collate_fn=collate)
    loaders = {"val": DataLoader(val, 256, collate_fn=collate), "test": DataLoader(test, 256, collate_fn=collate)}
    model = DeskReader(len(vocab) + 2, len(DESKS))
    optimizer = torch.optim.Adam(model.parameters(), lr=2e-3)
    decay = torch.optim.lr_scheduler.ExponentialLR(optimizer, gamma=0.8)
    criterion = nn.CrossEntropyLoss()
    best = {"score": 0.0, "weights": None}

    def balanced_accuracy(which):
        model.eval()
        right, seen = torch.zeros(len(DESKS)), torch.zeros(len(DESKS))
        with torch.no_grad():
            for tokens, lengths, y in loaders[which]:
                hit = (model(tokens, lengths).argmax(1) == y).float()
                right.index_add_(0, y, hit)
                seen.index_add_(0, y, torch.ones_like(hit))
        return (right / seen).mean().item()

    def epoch():
        model.train()
        total = 0.0
        for tokens, lengths, y in train_loader:
            optimizer.zero_grad()
            loss = criterion(model(tokens, lengths), y)
            loss.backward()
            nn.utils.clip_grad_norm_(model.parameters(), 1.0)
            optimizer.step()
            total += loss.item() * len(y)
        decay.step()
        score = balanced_accuracy("val")
        if score > best["score"]:
            best.update(score=score, weights={k: v.clone() for k, v in model.state_dict().items()})
        return total / len(train), score

    def finish():
        model.load_state_dict(best["weights"])
        return balanced_accuracy("test")

    return epoch, finish


if __name__ == "__main__":
    epoch, finish = make_session()
    for number in range(9):
        loss, score = epoch()
        print(f"epoch {number:2d}  loss {loss:.4f}  val balanced accuracy {score:.4f}")
    print(f"test balanced accuracy {finish():.4f} (chance {1 / len(DESKS):.3f})")
