# Pretrain a small masked language model on unlabelled pamphlets, then fine-tune it on a few labelled ones.
import math

import numpy as np
import torch
import torch.nn.functional as F
from torch import nn

torch.manual_seed(21)
rng = np.random.default_rng(21)

TOPICS = ["baths", "canals", "temperance", "orchards", "lodgings", "observatory"]
syllables = [c + v for c in "bdfgklmnprstvz" for v in "aeiou"]
words = sorted({"".join(rng.choice(syllables, 2)) for _ in range(1200)})
rng.shuffle(words)
common, rest = words[:80], words[80:]
topic_words = {t: rest[i * 30:(i + 1) * 30] for i, t in enumerate(TOPICS)}
VOCAB = ["<pad>", "<mask>", "<cls>"] + common + [w for t in TOPICS for w in topic_words[t]]
INDEX = {w: i for i, w in enumerate(VOCAB)}
PAD, MASK, CLS = 0, 1, 2
zipf = 1 / np.arange(1, 81)
cumulative = np.cumsum(zipf / zipf.sum())
partner = {w: ws[(i * 7 + 3) % 30] for ws in topic_words.values() for i, w in enumerate(ws)}


def pamphlet(topic):
    text = []
    length = rng.integers(14, 21)
    while len(text) < length:
        u = rng.random()
        if u < 0.24:                                  # a set phrase of the topic
            w = topic_words[TOPICS[topic]][rng.integers(30)]
            text += [w, partner[w]]
        elif u < 0.27:                                # a word borrowed from any topic
            text.append(topic_words[TOPICS[rng.integers(6)]][rng.integers(30)])
        else:
            text.append(common[min(79, np.searchsorted(cumulative, rng.random()))])
    return " ".join(text[:length])


def tokenise(texts, width=21):
    out = torch.full((len(texts), width), PAD)
    for i, text in enumerate(texts):
        ids = [CLS] + [INDEX[w] for w in text.split()]
        out[i, :len(ids)] = torch.tensor(ids)
    return out


class Reader(nn.Module):
    def __init__(self, d=48, width=21):
        super().__init__()
        self.embed = nn.Embedding(len(VOCAB), d)
        self.place = nn.Embedding(width, d)
        layer = nn.TransformerEncoderLayer(d, 4, 96, dropout=0.1, batch_first=True, norm_first=True)
        self.layers = nn.TransformerEncoder(layer, 2, norm=nn.LayerNorm(d), enable_nested_tensor=False)
        nn.init.normal_(self.embed.weight, std=0.1)
        nn.init.normal_(self.place.weight, std=0.1)

    def forward(self, ids):
        x = self.embed(ids) + self.place.weight[:ids.size(1)]
        return self.layers(x, src_key_padding_mask=ids == PAD)


def mask_tokens(ids):
    eligible = ids > CLS
    chosen = eligible & (torch.rand(ids.shape) < 0.15)
    fate = torch.rand(ids.shape)
    noisy = torch.where(chosen & (fate < 0.8), torch.tensor(MASK), ids)
    noisy = torch.where(chosen & (fate >= 0.9), torch.randint(3, len(VOCAB), ids.shape), noisy)
    return noisy, torch.where(chosen, ids, torch.tensor(-100))


corpus = tokenise([pamphlet(rng.integers(6)) for _ in range(4000)])
labels = torch.from_numpy(rng.integers(0, 6, 1800))
marked = tokenise([pamphlet(t) for t in labels.tolist()])
x_train, y_train = marked[:320], labels[:320]
x_val, y_val = marked[320:600], labels[320:600]
x_test, y_test = marked[600:], labels[600:]

# 1. pretraining
reader = Reader()
mlm_bias = nn.Parameter(torch.zeros(len(VOCAB)))
EPOCHS, BATCH = 7, 64
steps = EPOCHS * (len(corpus) // BATCH)
opt = torch.optim.AdamW([*reader.parameters(), mlm_bias], lr=2e-3, weight_decay=0.01)
sched = torch.optim.lr_scheduler.OneCycleLR(opt, max_lr=2e-3, total_steps=steps, pct_start=0.1)
reader.train()
for epoch in range(EPOCHS):
    losses = []
    perm = torch.randperm(len(corpus))[:len(corpus) // BATCH * BATCH]
    for batch in perm.split(BATCH):
        noisy, target = mask_tokens(corpus[batch])
        hidden = reader(noisy)[target != -100]
        logits = hidden @ reader.embed.weight.T + mlm_bias       # tied to the input table
        loss = F.cross_entropy(logits, target[target != -100])
        opt.zero_grad()
        loss.backward()
        nn.utils.clip_grad_norm_(reader.parameters(), 1.0)
        opt.step()
        sched.step()
        losses.append(loss.item())
    if epoch % 2 == 1 or epoch == 0:
        print(f"pretrain {epoch + 1:2d}  masked-word loss {np.mean(losses):.3f}  (uniform {math.log(len(VOCAB)):.2f})")

# 2. fine-tuning: lower rates for lower layers
head = nn.Sequential(nn.Dropout(0.1), nn.Linear(48, 6))
groups = [
    {"params": [*reader.embed.parameters(), *reader.place.parameters()], "lr": 2e-4},
    {"params": reader.layers.layers[0].parameters(), "lr": 3e-4},
    {"params": [*reader.layers.layers[1].parameters(), *reader.layers.norm.parameters()], "lr": 5e-4},
    {"params": head.parameters(), "lr": 2e-3},
]
opt = torch.optim.AdamW(groups, weight_decay=0.01)


def classify(ids):
    keep = (ids != PAD).unsqueeze(2)
    h = reader(ids)
    return head((h * keep).sum(1) / keep.sum(1))


def accuracy(x, y):
    reader.eval(), head.eval()
    with torch.no_grad():
        return (classify(x).argmax(1) == y).float().mean().item()


for epoch in range(10):
    reader.train(), head.train()
    for batch in torch.randperm(len(x_train)).split(32):
        loss = F.cross_entropy(classify(x_train[batch]), y_train[batch])
        opt.zero_grad()
        loss.backward()
        nn.utils.clip_grad_norm_([*reader.parameters(), *head.parameters()], 1.0)
        opt.step()
    if epoch % 2 == 1:
        print(f"fine-tune {epoch + 1:2d}  loss {loss.item():.3f}  val accuracy {accuracy(x_val, y_val):.3f}")
print(f"test accuracy over six topics: {accuracy(x_test, y_test):.3f}")
