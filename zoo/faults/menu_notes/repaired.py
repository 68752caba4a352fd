"""Stars from short notes about a meal. The loop calls the hooks of a module, as the big frameworks do."""
import random

import torch
import torch.nn as nn
import torch.nn.functional as F

GOOD = "crisp fresh warm generous lovely tender quick friendly fragrant juicy".split()
BAD = "cold stale bland greasy rude slow salty burnt soggy tiny".split()
DISHES = "soup bread noodles fish curry pie salad rice waiter service bill table".split()
GLUE = "the was and with a our we had very quite".split()
VOCAB = {w: i + 1 for i, w in enumerate(sorted(set(GOOD + BAD + DISHES + GLUE + ["not"])))}


def note():
    stars = random.randrange(3)
    share = (0.06, 0.5, 0.94)[stars]
    words = []
    for _ in range(random.randint(5, 9)):
        good = random.random() < share
        words += random.sample(GLUE, 2) + [random.choice(DISHES)]
        if random.random() < 0.25:
            words += ["not", random.choice(BAD if good else GOOD)]
        else:
            words.append(random.choice(GOOD if good else BAD))
    return [VOCAB[w] for w in words], stars


class HookedModule(nn.Module):
    def on_epoch_start(self, opt): ...
    def on_batch_start(self, opt): ...


class StarModel(HookedModule):
    def __init__(self, width=48):
        super().__init__()
        self.embed = nn.Embedding(len(VOCAB) + 1, width, padding_idx=0)
        self.conv = nn.Conv1d(width, width, 3, padding=1)
        self.norm = nn.LayerNorm(width)
        self.out = nn.Linear(width, 3)

    def forward(self, ids):
        h = F.relu(self.conv(self.embed(ids).transpose(1, 2))).transpose(1, 2)
        keep = (ids > 0).unsqueeze(-1).float()
        return self.out(self.norm((h * keep).sum(1) / keep.sum(1)))

    def configure_optimizers(self):
        return torch.optim.SGD(self.parameters(), lr=0.05, momentum=0.9)

    def training_step(self, batch):
        ids, stars = batch
        return F.cross_entropy(self(ids), stars)

    def on_epoch_start(self, opt):
        self.train()

    def on_batch_start(self, opt):
        opt.zero_grad()

    @torch.no_grad()
    def validate(self, batches):
        self.eval()
        hits = [(self(ids).argmax(1) == stars).float() for ids, stars in batches]
        return torch.cat(hits).mean().item()


def collate(rows):
    ids = nn.utils.rnn.pad_sequence([torch.tensor(r[0]) for r in rows], batch_first=True)
    return ids, torch.tensor([r[1] for r in rows])


def fit(module, train, valid, epochs):
    opt = module.configure_optimizers()
    for epoch in range(epochs):
        module.on_epoch_start(opt)
        total = 0.0
        for batch in train:
            module.on_batch_start(opt)
            loss = module.training_step(batch)
            loss.backward()
            opt.step()
            total += loss.item()
        print(f"epoch {epoch} train loss {total / len(train):.4f} val acc {module.validate(valid):.4f}")


if __name__ == "__main__":
    random.seed(31)
    torch.manual_seed(31)
    loader = torch.utils.data.DataLoader
    train = loader([note() for _ in range(1600)], batch_size=32, shuffle=True, collate_fn=collate)
    valid = loader([note() for _ in range(500)], batch_size=100, collate_fn=collate)
    fit(StarModel(), train, valid, epochs=8)
