"""A wholesale grocer sorts short memos into five departments."""
import os
import random

import torch
from torch import nn
from torch.utils.data import DataLoader

SEED = int(os.environ.get("SEED", "0"))
DEPARTMENTS = {
    "fruit": "apples pears plums grapes lemons limes melons figs dates mangoes peaches cherries".split(),
    "bakery": "bread rolls flour yeast buns bagels rye crumpets dough loaves muffins scones".split(),
    "dairy": "milk butter cream cheese yoghurt curd whey brie kefir cheddar feta ghee".split(),
    "drinks": "cider beer juice cola tonic wine stout lager squash ginger tea coffee".split(),
    "cleaning": "soap bleach mops brushes sponges wax polish starch bins cloths gloves buckets".split(),
}
COMMON = ("please send more boxes of the for shop today late order again we need two three crates was not "
          "delivered thanks monday invoice missing price too high and with by noon").split()
NAMES = list(DEPARTMENTS)


def write_memo(rng):
    label = rng.randrange(len(NAMES))
    words = rng.choices(COMMON, k=rng.randint(4, 14))
    for _ in range(rng.choice([0, 1, 1, 2, 2, 3])):
        words.insert(rng.randrange(len(words) + 1), rng.choice(DEPARTMENTS[NAMES[label]]))
    if rng.random() < 0.35:                              # another department is mentioned as well
        words.insert(rng.randrange(len(words) + 1), rng.choice(DEPARTMENTS[rng.choice(NAMES)]))
    return " ".join(words), label


class Vocabulary:
    def __init__(self, texts):
        self.index = {"<unk>": 0}
        for text in texts:
            for word in text.split():
                self.index.setdefault(word, len(self.index))

    def encode(self, text):
        return [self.index.get(w, 0) for w in text.split()]


def collate_with(vocab):
    def collate(batch):
        ids, offsets, labels = [], [], []
        for text, label in batch:
            offsets.append(len(ids))
            ids.extend(vocab.encode(text))
            labels.append(label)
        return torch.tensor(ids), torch.tensor(offsets), torch.tensor(labels)
    return collate


class MemoNet(nn.Module):
    def __init__(self, size, dim=24):
        super().__init__()
        self.bag = nn.EmbeddingBag(size, dim, mode="mean")
        self.head = nn.Linear(dim, len(NAMES))

    def forward(self, ids, offsets):
        return self.head(self.bag(ids, offsets))


@torch.no_grad()
def evaluate(model, loader):
    model.eval()
    right = seen = 0
    for ids, offsets, labels in loader:
        right += (model(ids, offsets).argmax(1) == labels).sum().item()
        seen += len(labels)
    return right / seen


def main():
    torch.manual_seed(SEED)
    rng = random.Random(SEED)
    memos = [write_memo(rng) for _ in range(5000)]
    train, valid, test = memos[:3500], memos[3500:4000], memos[4000:]
    vocab = Vocabulary([text for text, _ in train])
    collate = collate_with(vocab)
    loader = DataLoader(train, batch_size=32, shuffle=True, collate_fn=collate)
    valid_loader = DataLoader(valid, batch_size=250, collate_fn=collate)
    test_loader = DataLoader(test, batch_size=250, collate_fn=collate)

    model = MemoNet(len(vocab.index))
    opt = torch.optim.AdamW(model.parameters(), lr=5e-3, weight_decay=0.01)
    sched = torch.optim.lr_scheduler.StepLR(opt, step_size=10, gamma=0.4)
    loss_fn = nn.CrossEntropyLoss()
    for epoch in range(40):
        model.train()
        total = 0.0
        for ids, offsets, labels in loader:
            loss = loss_fn(model(ids, offsets), labels)
            opt.zero_grad()
            loss.backward()
            opt.step()
            total += loss.item() * len(labels)
        sched.step()
        if epoch % 5 == 4:
            print(f"epoch {epoch + 1} loss {total / len(train):.4f} valid accuracy {evaluate(model, valid_loader):.3f}")
    print(f"test accuracy {evaluate(model, test_loader):.3f} (a sixth of the memos tell nothing)")


if __name__ == "__main__":
    main()
