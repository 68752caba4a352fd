import numpy as np
import torch
import torch.nn as nn
import torch.nn.functional as F

torch.manual_seed(9)
np.random.seed(9)

# entries of old parish registers -> trade of the person (6 trades)
TRADES = 6
WORDS = 240
DIM = 16
word_trade = np.random.randint(0, TRADES, WORDS)      # each word hints at a trade


def entry(trade):
    hints = np.flatnonzero(word_trade == trade)
    n = np.random.randint(2, 5)
    words = np.concatenate([np.random.choice(hints, n), np.random.randint(0, WORDS, 9 - n)])
    np.random.shuffle(words)
    return words


def load_vectors():
    # vectors from modern newspapers: old words are not in there and get a row of zeros
    themes = np.random.randn(TRADES, DIM)
    table = 0.6 * themes[word_trade] + np.random.randn(WORDS, DIM)
    known = np.random.rand(WORDS) < 0.4
    table[~known] = 0
    print('vectors found for', known.sum(), 'of', WORDS, 'words')
    return torch.tensor(table, dtype=torch.float32)


labels = np.random.randint(0, TRADES, 3000)
texts = np.stack([entry(t) for t in labels])
labels, texts = torch.tensor(labels), torch.tensor(texts)
train_x, train_y = texts[:2400], labels[:2400]
test_x, test_y = texts[2400:], labels[2400:]


class TradeClassifier(nn.Module):
    def __init__(self, vectors):
        super().__init__()
        self.embedding = nn.Embedding.from_pretrained(vectors, freeze=False)
        self.hidden = nn.Linear(DIM, 32)
        self.output = nn.Linear(32, TRADES)
        self.drop = nn.Dropout(0.2)

    def forward(self, x):
        e = self.embedding(x).mean(dim=1)
        h = self.drop(F.relu(self.hidden(e)))
        return self.output(h)


def accuracy(net, x, y):
    net.eval()
    with torch.no_grad():
        return (net(x).argmax(dim=1) == y).float().mean().item()


net = TradeClassifier(load_vectors())
optimizer = torch.optim.Adam(net.parameters(), lr=0.005)
batch_size = 60
for epoch in range(1, 9):
    net.train()
    perm = torch.randperm(len(train_x))
    epoch_loss = 0
    for start in range(0, len(train_x), batch_size):
        idx = perm[start:start + batch_size]
        optimizer.zero_grad()
        loss = F.cross_entropy(net(train_x[idx]), train_y[idx])
        loss.backward()
        optimizer.step()
        epoch_loss += loss.item() * len(idx)
    print('epoch', epoch, 'loss', round(epoch_loss / len(train_x), 4),
          'test acc', round(accuracy(net, test_x, test_y), 4))
