"""Put a hand of cards in order: a transformer reads the hand and writes the sorted one."""
import copy

import torch
from torch import nn

CARDS, HAND = 20, 8


def deal(n, gen):
    hands = torch.randint(CARDS, (n, HAND), generator=gen)
    return hands, hands.sort(1).values


class Sorter(nn.Module):
    def __init__(self, width=48):
        super().__init__()
        self.card = nn.Embedding(CARDS, width)
        self.slot = nn.Parameter(0.1 * torch.randn(HAND, width))
        layer = nn.TransformerEncoderLayer(width, 4, 96, dropout=0.0, batch_first=True, norm_first=True)
        self.encoder = nn.TransformerEncoder(layer, 2, enable_nested_tensor=False)
        self.say = nn.Linear(width, CARDS)

    def forward(self, hands):
        return self.say(self.encoder(self.card(hands) + self.slot))


class EarlyStopping:
    """Remembers the best state and tells when there was none better for some epochs."""

    def __init__(self, patience):
        self.patience = patience
        self.best = float("inf")
        self.waited = 0
        self.state = None

    def update(self, score, model):
        if score < self.best:
            self.best, self.waited = score, 0
            self.state = copy.deepcopy(model.state_dict())
        else:
            self.waited += 1
        return self.waited >= self.patience


class Run:
    def __init__(self, seed):
        torch.manual_seed(seed)
        gen = torch.Generator().manual_seed(seed)
        self.train, self.val, self.test = deal(1600, gen), deal(300, gen), deal(500, gen)
        self.model = Sorter()
        self.opt = torch.optim.Adam(self.model.parameters(), lr=2e-3)
        self.stopper = EarlyStopping(patience=4)

    def epoch(self):
        self.model.train()
        hands, ordered = self.train
        for rows in torch.randperm(len(hands)).split(40):
            logits = self.model(hands[rows])
            loss = nn.functional.cross_entropy(logits.transpose(1, 2), ordered[rows])
            self.opt.zero_grad()
            loss.backward()
            self.opt.step()
        return loss.item()

    @torch.no_grad()
    def score(self, hands, ordered):
        self.model.eval()
        return (self.model(hands).argmax(-1) == ordered).float().mean().item()

    def go(self, max_epochs=14):
        for epoch in range(1, max_epochs + 1):
            loss = self.epoch()
            score = self.score(*self.val)
            print(f"epoch {epoch} loss {loss:.3f} val {score:.3f}")
            if self.stopper.update(score, self.model):
                print("no better for a while, stopping")
                break
        self.model.load_state_dict(self.stopper.state)
        print(f"cards in their place (test): {self.score(*self.test):.3f}")


Run(seed=44).go()
