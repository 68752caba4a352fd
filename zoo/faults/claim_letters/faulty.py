"""Routing of letters that customers write about their claims."""
from __future__ import annotations

import random

import torch
from torch import nn
from torch.nn.utils.rnn import pack_padded_sequence, pad_sequence
from torch.utils.data import DataLoader, Dataset

TOPICS: dict[str, list[str]] = {
    "water": "pipe leak ceiling damp boiler flood basement burst drain mould".split(),
    "motor": "car bumper garage windscreen collision parked lane mirror driver tow".split(),
    "travel": "flight luggage hotel cancelled airport booking trip delay passport ticket".split(),
    "theft": "stolen bicycle burglar police laptop lock wallet window jewellery door".split(),
    "storm": "roof tiles wind fence tree hail gutter chimney lightning branch".split(),
}
FILLER = ("dear sir madam i am writing because we had a problem with the and on last week please find the "
          "invoice attached policy number my claim has not been answered yet many thanks kind regards our "
          "it was very to from in after before when could you call me back soon").split()
NAMES = list(TOPICS)


def write_letter(topic: str) -> list[str]:
    length = random.randint(6, 30)
    words = []
    for _ in range(length):
        u = random.random()
        if u < 0.12:
            words.append(random.choice(TOPICS[topic]))
        elif u < 0.17:
            words.append(random.choice(TOPICS[random.choice(NAMES)]))
        else:
            words.append(random.choice(FILLER))
    words[random.randrange(length)] = random.choice(TOPICS[topic])
    return words


class Vocabulary:
    def __init__(self, letters: list[list[str]]):
        words = sorted({w for letter in letters for w in letter})
        self.index = {w: i + 2 for i, w in enumerate(words)}

    def __len__(self) -> int:
        return len(self.index) + 2

    def encode(self, letter: list[str]) -> torch.Tensor:
        return torch.tensor([self.index.get(w, 1) for w in letter])


class Letters(Dataset):
    def __init__(self, items: list[tuple[list[str], int]], vocab: Vocabulary):
        self.items = [(vocab.encode(words), label) for words, label in items]

    def __len__(self) -> int:
        return len(self.items)

    def __getitem__(self, i: int):
        return self.items[i]


def collate(batch):
    # longest first, so that the packed sequence needs no re-sorting in the model
    lengths = torch.tensor([len(ids) for ids, _ in batch])
    order = lengths.argsort(descending=True)
    ids = pad_sequence([batch[i][0] for i in order.tolist()], batch_first=True)
    labels = torch.tensor([label for _, label in batch])
    return ids, lengths[order], labels


class Router(nn.Module):
    def __init__(self, n_words: int, n_topics: int, dim: int = 32, hidden: int = 48):
        super().__init__()
        self.emb = nn.Embedding(n_words, dim, padding_idx=0)
        self.rnn = nn.GRU(dim, hidden, batch_first=True, bidirectional=True)
        self.drop = nn.Dropout(0.2)
        self.out = nn.Linear(2 * hidden, n_topics)

    def forward(self, ids: torch.Tensor, lengths: torch.Tensor) -> torch.Tensor:
        packed = pack_padded_sequence(self.emb(ids), lengths, batch_first=True)
        _, h = self.rnn(packed)
        return self.out(self.drop(torch.cat([h[0], h[1]], dim=1)))


def route(model: Router, vocab: Vocabulary, letter: list[str]) -> int:
    ids = vocab.encode(letter)[None]
    return int(model(ids, torch.tensor([ids.shape[1]])).argmax())


def run(epochs: int = 6) -> None:
    random.seed(21)
    torch.manual_seed(21)
    corpus = []
    for _ in range(1600):
        label = random.randrange(len(NAMES))
        corpus.append((write_letter(NAMES[label]), label))
    train, held_out = corpus[:1300], corpus[1300:]
    vocab = Vocabulary([words for words, _ in train])
    loader = DataLoader(Letters(train, vocab), batch_size=25, shuffle=True, collate_fn=collate)

    model = Router(len(vocab), len(NAMES))
    opt = torch.optim.Adam(model.parameters(), lr=4e-3)
    sched = torch.optim.lr_scheduler.StepLR(opt, step_size=2, gamma=0.5)
    loss_fn = nn.CrossEntropyLoss()
    for epoch in range(epochs):
        model.train()
        total, n = 0.0, 0
        for ids, lengths, labels in loader:
            opt.zero_grad()
            loss = loss_fn(model(ids, lengths), labels)
            loss.backward()
            nn.utils.clip_grad_norm_(model.parameters(), 5.0)
            opt.step()
            total += loss.item() * len(labels)
            n += len(labels)
        sched.step()
        print(f"epoch {epoch}: loss {total / n:.4f}")

    model.eval()
    with torch.no_grad():
        right = sum(route(model, vocab, words) == label for words, label in held_out)
    print(f"letters routed correctly: {right / len(held_out):.4f}")


if __name__ == "__main__":
    run()
