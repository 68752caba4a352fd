import random
import numpy as np
import torch
import torch.nn as nn

random.seed(5)
np.random.seed(5)
torch.manual_seed(5)

good = "crisp warm fresh flaky lovely buttery friendly generous tender superb".split()
bad = "stale burnt soggy rude dry greasy bland slow cold overpriced".split()
rest = ("the a bread croissant cake was and but we had our this very staff loaf coffee they today morning "
        "shop near bought tart queue with it of rolls icing again").split()
vocab = {w: i + 1 for i, w in enumerate(good + bad + rest)}   # 0 is padding
MAX_LEN = 20


def make_review():
    label = random.randint(0, 1)
    words = random.choices(rest, k=random.randint(8, 15))
    mine, other = (good, bad) if label else (bad, good)
    words += random.choices(mine, k=random.randint(2, 3)) + random.choices(other, k=random.randint(0, 1))
    random.shuffle(words)
    ids = [vocab[w] for w in words]
    return ids + [0] * (MAX_LEN - len(ids)), label


reviews = [make_review() for _ in range(1400)]
xs = torch.tensor([r[0] for r in reviews])
ys = torch.tensor([r[1] for r in reviews], dtype=torch.float)
train_set = torch.utils.data.TensorDataset(xs[:1000], ys[:1000])
valid_set = torch.utils.data.TensorDataset(xs[1000:], ys[1000:])
train_loader = torch.utils.data.DataLoader(train_set, batch_size=25, shuffle=True)
valid_loader = torch.utils.data.DataLoader(valid_set, batch_size=100)


class ReviewCNN(nn.Module):
    def __init__(self, vocab_size, emb_dim=24, filters=32):
        super(ReviewCNN, self).__init__()
        self.embedding = nn.Embedding(vocab_size + 1, emb_dim, padding_idx=0)
        self.conv = nn.Conv1d(emb_dim, filters, kernel_size=2)
        self.dropout = nn.Dropout(0.2)
        self.fc = nn.Linear(filters, 1)

    def forward(self, x):
        x = self.embedding(x).permute(0, 2, 1)
        x = torch.relu(self.conv(x))
        x = self.dropout(x.max(dim=2)[0])
        return self.fc(x).squeeze(1)


model = ReviewCNN(len(vocab))
criterion = nn.BCEWithLogitsLoss()
optimizer = torch.optim.Adam(model.parameters(), lr=0.002)

num_epochs = 20
for epoch in range(num_epochs):
    model.train()
    train_loss = 0
    for x, y in train_loader:
        optimizer.zero_grad()
        out = model(x)
        loss = criterion(out, y)
        train_loss += loss.item()
        loss.backward()
        optimizer.step()

    model.eval()
    correct = 0
    with torch.no_grad():
        for x, y in valid_loader:
            correct += ((model(x) > 0).float() == y).sum().item()
    print("epoch:", epoch + 1, "train loss:", round(train_loss / len(train_loader), 4),
          "valid acc:", correct / len(valid_set))
