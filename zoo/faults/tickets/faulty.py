import random
from collections import Counter

import torch
from torch import nn
from torch.nn.utils.rnn import pad_sequence

TEAMS = {
    "billing": "invoice refund charged card payment twice receipt price".split(),
    "login": "password reset locked account email code sign browser".split(),
    "shipping": "parcel late courier address tracking delivered missing box".split(),
    "hardware": "screen battery charger broken overheats fan noise keyboard".split(),
}
FILLERS = "hello please my the i have since it is was not still with you again today help and on for can this".split()
PAD, UNK = 0, 1


def write_ticket(team):
    """Mostly filler, a few words on the matter, now and then one of another team."""
    other = random.choice([t for t in TEAMS if t != team])
    words = random.choices(FILLERS, k=random.randint(6, 14))
    words += random.choices(TEAMS[team], k=random.randint(2, 4)) + random.choices(TEAMS[other], k=random.randint(0, 1))
    random.shuffle(words)
    return words


def corpus(n):
    names = list(TEAMS)
    labels = [random.randrange(len(names)) for _ in range(n)]
    return [write_ticket(names[k]) for k in labels], torch.tensor(labels)


def build_vocab(texts):
    counts = Counter(w for text in texts for w in text)
    return {w: i for i, (w, _) in enumerate(counts.most_common(), start=2)}


def to_ids(texts, vocab):
    rows = [torch.tensor([vocab.get(w, UNK) for w in text]) for text in texts]
    return pad_sequence(rows, batch_first=True, padding_value=PAD)


class Router(nn.Module):
    def __init__(self, n_words, n_teams, dim=24, hidden=48):
        super().__init__()
        self.embed = nn.Embedding(n_words, dim, padding_idx=PAD)
        self.conv = nn.Conv1d(dim, hidden, 3, padding=1)
        self.drop = nn.Dropout(0.3)
        self.out = nn.Linear(hidden, n_teams)

    def forward(self, ids):
        h = self.conv(self.embed(ids).transpose(1, 2)).relu()
        h = h.masked_fill((ids == PAD)[:, None], 0.0).amax(dim=2)
        return self.out(self.drop(h))


class Experiment:
    def __init__(self, seed=23, lr=3e-3, batch=32):
        random.seed(seed)
        torch.manual_seed(seed)
        self.batch = batch
        self.train_texts, self.train_labels = corpus(900)
        self.test_texts, self.test_labels = corpus(300)
        self.vocab = build_vocab(self.train_texts)
        self.model = Router(len(self.vocab) + 2, len(TEAMS))
        self.opt = torch.optim.Adam(self.model.parameters(), lr=lr)

    def train(self, epochs=6):
        ids = to_ids(self.train_texts, self.vocab)
        self.model.train()
        for epoch in range(epochs):
            for pick in torch.randperm(len(ids)).split(self.batch):
                loss = nn.functional.cross_entropy(self.model(ids[pick]), self.train_labels[pick])
                self.opt.zero_grad()
                loss.backward()
                self.opt.step()
            print(f"epoch {epoch} last loss {loss.item():.3f}")

    def test(self):
        ids = to_ids(self.test_texts, build_vocab(self.test_texts))
        self.model.eval()
        with torch.no_grad():
            guess = self.model(ids).argmax(dim=1)
        return (guess == self.test_labels).float().mean().item()


experiment = Experiment()
experiment.train()
print(f"routed to the right team: {experiment.test():.3f}")
