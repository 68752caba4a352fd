# liked it or not?  short remarks left in a cinema's guest terminal
# (Embedding -> Flatten -> Dense(16) -> Dense(1))
import numpy as np
import torch
import torch.nn as nn

torch.manual_seed(6)
rng = np.random.default_rng(6)

MAX_WORDS, MAXLEN, DIM = 1200, 30, 32
ranks = np.arange(1, MAX_WORDS)
zipf = 1 / (ranks + 10.0) ** 0.8
lean = rng.normal(0, 1, MAX_WORDS - 1) * (rng.random(MAX_WORDS - 1) < 0.3)
happy = zipf * np.exp(0.9 * lean)
sour = zipf * np.exp(-0.9 * lean)
happy, sour = happy / happy.sum(), sour / sour.sum()


def remark(liked):
    length = rng.integers(12, MAXLEN + 1)
    words = rng.choice(ranks, length, p=happy if liked else sour)
    row = np.zeros(MAXLEN, np.int64)
    row[MAXLEN - length:] = words
    return row


y = rng.integers(0, 2, 3500)
x = torch.tensor(np.stack([remark(k) for k in y]))
y = torch.tensor(y, dtype=torch.float32)
x_train, y_train = x[:2000], y[:2000]
x_val, y_val = x[2000:2500], y[2000:2500]
x_test, y_test = x[2500:], y[2500:]


class Grumbles(nn.Module):
    def __init__(self):
        super().__init__()
        self.embedding = nn.Embedding(MAX_WORDS, DIM)
        nn.init.uniform_(self.embedding.weight, -0.05, 0.05)
        self.hidden = nn.Linear(MAXLEN * DIM, 16)
        self.out = nn.Linear(16, 1)

    def forward(self, x):
        x = self.embedding(x).flatten(1)
        x = torch.relu(self.hidden(x))
        return self.out(x).squeeze(1)


model = Grumbles()
loss_fn = nn.BCEWithLogitsLoss()
optimizer = torch.optim.Adam(model.parameters(), lr=1e-3)


def score(x, y):
    model.eval()
    with torch.no_grad():
        logits = model(x)
    return loss_fn(logits, y).item(), ((logits > 0).float() == y).float().mean().item()


best = (9.9, None)
for epoch in range(12):
    model.train()
    total = 0.0
    for idx in torch.randperm(len(x_train)).split(32):
        loss = loss_fn(model(x_train[idx]), y_train[idx])
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        total += loss.item() * len(idx)
    val_loss, val_acc = score(x_val, y_val)
    print(f"epoch {epoch + 1}: loss {total / len(x_train):.3f}  val_loss {val_loss:.3f}  val_acc {val_acc:.3f}")
    if val_loss < best[0]:
        best = (val_loss, {k: v.clone() for k, v in model.state_dict().items()})

model.load_state_dict(best[1])
print(f"test accuracy {score(x_test, y_test)[1]:.4f}")
