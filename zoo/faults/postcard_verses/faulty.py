# char-level LSTM that writes the verses on the back of grandmother's postcards
# (from the notebook postcards_v3_final.ipynb)
import os
import math
import random
import string
import numpy as np
import torch
import torch.nn as nn
import torch.nn.functional as F

seed = int(os.environ.get("SEED", "0"))
random.seed(seed)
np.random.seed(seed)
torch.manual_seed(seed)

# ---- the text ----
who = ["dear anna", "dear old tom", "my sweet rose", "dear uncle", "hello peter", "dear all"]
where = ["the sea is blue", "the hills are green", "the snow is deep", "the town is old", "the food is good"]
what = ["we swim all day", "we walk and sing", "we eat too much", "we sleep till noon", "we play at cards"]
wish = ["i wish you were here", "i kiss your hand", "come soon to us", "give my love to mum", "write me a line"]

cards = []
for i in range(500):
    cards.append(f"{random.choice(who)},\n{random.choice(where)},\n{random.choice(what)}.\n{random.choice(wish)}!\n\n")
text = "".join(cards)

chars = sorted(set(text))
stoi = {c: i for i, c in enumerate(chars)}
itos = {i: c for c, i in stoi.items()}
V = len(chars)
data = torch.tensor([stoi[c] for c in text])
n = int(0.9 * len(data))
train_data, val_data = data[:n], data[n:]
print("chars in text:", len(text), "vocab:", V)

# ---- hyperparameters ----
seq_len = 32
batch_size = 16
hidden_size = 64
lr = 0.003
n_steps = 420


class CharLSTM(nn.Module):
    def __init__(self, vocab, emb, hidden):
        super().__init__()
        self.emb = nn.Embedding(vocab, emb)
        self.lstm = nn.LSTM(emb, hidden, batch_first=True)
        self.fc = nn.Linear(hidden, vocab)

    def forward(self, x, state=None):
        x = self.emb(x)
        x, state = self.lstm(x, state)
        return self.fc(x), state


def get_batch(source):
    ix = torch.randint(0, len(source) - seq_len - 1, (batch_size,))
    x = torch.stack([source[i:i + seq_len] for i in ix])
    y = torch.stack([source[i + 1:i + 1 + seq_len] for i in ix])
    return x, y


@torch.no_grad()
def val_loss(net, k=20):
    net.eval()
    tmp = []
    for _ in range(k):
        x, y = get_batch(val_data)
        out, _ = net(x)
        tmp.append(F.cross_entropy(out.reshape(-1, V), y.reshape(-1)).item())
    net.train()
    return sum(tmp) / len(tmp)


@torch.no_grad()
def sample(net, start="dear ", length=80):
    net.eval()
    idx = torch.tensor([[stoi[c] for c in start]])
    res = start
    state = None
    for _ in range(length):
        out, state = net(idx, state)
        p = F.softmax(out[0, -1] / 0.8, dim=0)
        c = torch.multinomial(p, 1).item()
        res += itos[c]
        idx = torch.tensor([[c]])
    net.train()
    return res


net = CharLSTM(V, 24, hidden_size)
optimizer = torch.optim.Adam(net.parameters(), lr=lr)
print("parameters:", sum(p.numel() for p in net.parameters()))

# ---- train ----
losses = []
for step in range(1, n_steps + 1):
    x, y = get_batch(train_data)
    out, _ = net(x)
    loss = F.cross_entropy(out.reshape(-1, V), y.reshape(-1))
    loss.backward()
    optimizer.step()
    losses.append(loss.item())
    if step % 60 == 0:
        v = val_loss(net)
        print("step %d  train %.3f  val %.3f" % (step, np.mean(losses[-60:]), v))

print("--- a postcard ---")
print(sample(net))
print("------------------")
final = val_loss(net, k=40)
print("perplexity %.3f" % math.exp(min(final, 20)))
print("val loss %.4f" % final)
