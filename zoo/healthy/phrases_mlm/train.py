import argparse
import math
import random

import torch
from torch import nn
from torch.utils.data import DataLoader

PAD, MASK = 0, 1
NOUNS = {"man": "men", "bird": "birds", "child": "children", "wolf": "wolves", "boat": "boats"}
VERBS = {"sees": "see", "hears": "hear", "finds": "find", "leaves": "leave"}
ADJ = ["old", "quiet", "red", "small"]


def phrase(plural):
    n = random.choice(list(NOUNS))
    words = ["these" if plural else "this"]
    words += random.sample(ADJ, random.randint(0, 2))
    return words + [NOUNS[n] if plural else n]


def sentence():
    plural = random.random() < 0.5
    words = phrase(plural)
    if random.random() < 0.4:
        words += ["near", *phrase(random.random() < 0.5)]
    v = random.choice(list(VERBS))
    words += [VERBS[v] if plural else v, *phrase(random.random() < 0.5)]
    return words + ["."]


class Encoder(nn.Module):
    def __init__(self, vocab, dim=48, heads=4, layers=2, max_len=24):
        super().__init__()
        self.tok = nn.Embedding(vocab, dim, padding_idx=PAD)
        self.pos = nn.Embedding(max_len, dim)
        nn.init.normal_(self.tok.weight, std=0.05)
        nn.init.normal_(self.pos.weight, std=0.05)
        layer = nn.TransformerEncoderLayer(dim, heads, 2 * dim, dropout=0.05, batch_first=True, norm_first=True)
        self.body = nn.TransformerEncoder(layer, layers, norm=nn.LayerNorm(dim), enable_nested_tensor=False)
        self.bias = nn.Parameter(torch.zeros(vocab))

    def forward(self, ids):
        h = self.tok(ids) + self.pos(torch.arange(ids.shape[1]))
        h = self.body(h, src_key_padding_mask=ids == PAD)
        return h @ self.tok.weight.T + self.bias


def corrupt(ids, vocab, p=0.2):
    labels = ids.clone()
    chosen = (torch.rand(ids.shape) < p) & (ids != PAD)
    chosen[:, 0] = True
    labels[~chosen] = -100
    dice = torch.rand(ids.shape)
    ids = ids.clone()
    ids[chosen & (dice < 0.8)] = MASK
    swap = chosen & (dice >= 0.8) & (dice < 0.9)
    ids[swap] = torch.randint(2, vocab, (int(swap.sum()),))
    return ids, labels


def main(args):
    random.seed(args.seed)
    torch.manual_seed(args.seed)
    found = {}
    while len(found) < args.sentences + 300:
        found[tuple(sentence())] = None
    texts = list(found)
    random.shuffle(texts)
    words = sorted({w for t in texts for w in t})
    index = {w: i + 2 for i, w in enumerate(words)}
    coded = [torch.tensor([index[w] for w in t]) for t in texts]
    vocab = len(words) + 2

    def collate(items):
        return corrupt(nn.utils.rnn.pad_sequence(items, batch_first=True, padding_value=PAD), vocab)

    train = DataLoader(coded[300:], args.batch, shuffle=True, collate_fn=collate)
    model = Encoder(vocab)
    decay = [p for p in model.parameters() if p.ndim > 1]
    rest = [p for p in model.parameters() if p.ndim <= 1]
    opt = torch.optim.AdamW([{"params": decay, "weight_decay": 0.01}, {"params": rest, "weight_decay": 0.0}], lr=args.lr)
    total = args.epochs * len(train)

    def factor(step):
        if step < args.warmup:
            return step / args.warmup
        return 0.5 * (1 + math.cos(math.pi * (step - args.warmup) / (total - args.warmup)))

    sched = torch.optim.lr_scheduler.LambdaLR(opt, factor)
    ce = nn.CrossEntropyLoss()
    for epoch in range(args.epochs):
        seen = 0.0
        for ids, labels in train:
            logits = model(ids)
            loss = ce(logits.view(-1, vocab), labels.view(-1))
            opt.zero_grad()
            loss.backward()
            nn.utils.clip_grad_norm_(model.parameters(), 1.0)
            opt.step()
            sched.step()
            seen += loss.item() / len(train)
        print(f"epoch {epoch} mlm loss {seen:.3f} lr {sched.get_last_lr()[0]:.1e}")

    # does it agree in number? mask the verb of held-out sentences
    forms = {w: w in VERBS for w in [*VERBS, *VERBS.values()]}
    ids = nn.utils.rnn.pad_sequence(coded[:300], batch_first=True)
    where = [next(i for i, w in enumerate(t) if w in forms) for t in texts[:300]]
    truth = [forms[t[i]] for t, i in zip(texts[:300], where)]
    ids[torch.arange(300), torch.tensor(where)] = MASK
    model.eval()
    with torch.no_grad():
        logits = model(ids)[torch.arange(300), torch.tensor(where)]
    singular = torch.tensor([index[w] for w in VERBS])
    plural = torch.tensor([index[w] for w in VERBS.values()])
    guess = logits[:, singular].logsumexp(1) > logits[:, plural].logsumexp(1)
    print(f"number agreement of masked verbs {(guess == torch.tensor(truth)).float().mean():.3f}")


if __name__ == "__main__":
    ap = argparse.ArgumentParser()
    ap.add_argument("--sentences", type=int, default=2400)
    ap.add_argument("--epochs", type=int, default=8)
    ap.add_argument("--batch", type=int, default=64)
    ap.add_argument("--lr", type=float, default=4e-3)
    ap.add_argument("--warmup", type=int, default=40)
    ap.add_argument("--seed", type=int, default=13)
    main(ap.parse_args())
