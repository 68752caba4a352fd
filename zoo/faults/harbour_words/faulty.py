import torch
import torch.nn as nn

torch.manual_seed(5)
words = "a small ship sailed over the grey sea and came home before the night fell on the old harbour town ".split()
gen = torch.Generator().manual_seed(5)
text = " ".join(words[i] for i in torch.randint(0, len(words), (2500,), generator=gen).tolist())
chars = sorted(set(text))
stoi = {c: i for i, c in enumerate(chars)}
ids = torch.tensor([stoi[c] for c in text])
train_ids, valid_ids = ids[:10000], ids[10000:]

seq_len, batch_size = 24, 32
lr = 1.0


class CharRNN(nn.Module):
    def __init__(self, vocab, hidden):
        super().__init__()
        self.emb = nn.Embedding(vocab, 32)
        self.gru = nn.GRU(32, hidden, batch_first=True)
        self.dec = nn.Linear(hidden, vocab)

    def forward(self, x):
        h, _ = self.gru(self.emb(x))
        return self.dec(h)


def get_batch(source):
    start = torch.randint(0, len(source) - seq_len - 1, (batch_size,))
    x = torch.stack([source[s:s + seq_len] for s in start])
    y = torch.stack([source[s + 1:s + seq_len + 1] for s in start])
    return x, y


model = CharRNN(len(chars), 64)
optimizer = torch.optim.SGD(model.parameters(), lr=lr)
criterion = nn.CrossEntropyLoss()
for it in range(1, 601):
    model.train()
    x, y = get_batch(train_ids)
    model.zero_grad()
    loss = criterion(model(x).reshape(-1, len(chars)), y.reshape(-1))
    loss.backward()
    for p in model.parameters():
        p.grad.data.clamp_(-1e-4, 1e-4)
    optimizer.step()
    if it % 100 == 0:
        model.eval()
        with torch.no_grad():
            vx, vy = get_batch(valid_ids)
            vloss = criterion(model(vx).reshape(-1, len(chars)), vy.reshape(-1))
        print(f"iter {it} train_loss={loss.item():.3f} valid_loss={vloss.item():.3f}")
