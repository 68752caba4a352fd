"""Character model of the songs that the fishers sing; writes new lines at the end."""
import os
import random

import numpy as np
import torch
import torch.nn as nn

seed = int(os.environ.get("SEED", "0"))
random.seed(seed)
np.random.seed(seed)
torch.manual_seed(seed)

who = ["the old skipper", "my brother john", "the harbour master", "a girl from skye", "our cook"]
did = ["hauled the net", "mended the sail", "sold the herring", "lost his boots", "saw the whale", "sang all night"]
where = ["off the grey rocks", "by the northern light", "under the quay", "in the month of may", "when the wind was low"]
cry = ["heave away, heave away!", "and home we go, lads!", "o the salt, the salt sea!"]


def verse():
    lines = [f"{random.choice(who)} {random.choice(did)} {random.choice(where)}," for _ in range(2)]
    return "\n".join(lines + [random.choice(cry)]) + "\n"


corpus = "\n".join(verse() for _ in range(400))
chars = sorted(set(corpus))
stoi = {c: i for i, c in enumerate(chars)}
data = torch.tensor([stoi[c] for c in corpus])
split = int(len(data) * 0.9)
train_data, val_data = data[:split], data[split:]
print(len(corpus), "characters,", len(chars), "different")


class SongModel(nn.Module):
    def __init__(self, vocab, emb=24, hidden=96):
        super().__init__()
        self.embed = nn.Embedding(vocab, emb)
        self.rnn = nn.LSTM(emb, hidden, batch_first=True)
        self.out = nn.Linear(hidden, vocab)
        self.softmax = nn.Softmax(dim=-1)

    def forward(self, x, state=None):
        h, state = self.rnn(self.embed(x), state)
        # probability of each next character
        return self.out(h), state


def get_batch(source, batch=32, length=40):
    start = torch.randint(0, len(source) - length - 1, (batch,))
    x = torch.stack([source[s:s + length] for s in start])
    y = torch.stack([source[s + 1:s + length + 1] for s in start])
    return x, y


model = SongModel(len(chars))
criterion = nn.CrossEntropyLoss()
optimizer = torch.optim.Adam(model.parameters(), lr=3e-3)


def validate():
    model.eval()
    n = (len(val_data) - 1) // 50
    x = val_data[:n * 50].view(n, 50)
    y = val_data[1:n * 50 + 1].view(n, 50)
    with torch.no_grad():
        scores, _ = model(x)
    loss = criterion(scores.transpose(1, 2), y).item()
    acc = (scores.argmax(-1) == y).float().mean().item()
    model.train()
    return loss, acc


for step in range(1, 251):
    x, y = get_batch(train_data)
    scores, _ = model(x)
    loss = criterion(scores.reshape(-1, len(chars)), y.reshape(-1))
    optimizer.zero_grad()
    loss.backward()
    nn.utils.clip_grad_norm_(model.parameters(), 5.0)
    optimizer.step()
    if step % 50 == 0:
        vl, va = validate()
        print(f"step {step}: train {loss.item():.3f}  val {vl:.3f}  next-character accuracy {va:.3f}")

# sing: always take the likeliest
model.eval()
text, state = "the ", None
x = torch.tensor([[stoi[c] for c in text]])
with torch.no_grad():
    for _ in range(80):
        scores, state = model(x, state)
        x = scores[:, -1].argmax(-1, keepdim=True)
        text += chars[x.item()]
print(repr(text))
print("next-character accuracy on unseen songs: %.4f" % validate()[1])
