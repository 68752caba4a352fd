# Letters to a gardening magazine: which desk should answer them?
import random

import numpy as np
import torch
import torch.nn as nn
import torch.nn.functional as F

random.seed(12)
np.random.seed(12)
torch.manual_seed(12)

DESKS = ["vegetables", "roses", "lawn", "pests"]
N_TOPIC, N_COMMON = 40, 300
VOCAB = N_COMMON + N_TOPIC * len(DESKS)
LENGTH = 16


def write_letter(desk):
    """word ids of a letter: small talk with two to four words that belong to the desk"""
    words = [random.randrange(N_COMMON) for _ in range(LENGTH)]
    for place in random.sample(range(LENGTH), random.randint(2, 4)):
        words[place] = N_COMMON + desk * N_TOPIC + random.randrange(N_TOPIC)
    if random.random() < 0.4:  # a word of another desk slips in
        words[random.randrange(LENGTH)] = N_COMMON + random.randrange(N_TOPIC * len(DESKS))
    return words


labels = [random.randrange(len(DESKS)) for _ in range(1800)]
letters = np.array([write_letter(d) for d in labels])
train_X, test_X = torch.LongTensor(letters[:1400]), torch.LongTensor(letters[1400:])
train_y, test_y = torch.LongTensor(labels[:1400]), torch.LongTensor(labels[1400:])


class Net(nn.Module):
    def __init__(self, emb_dim=24, hidden=32):
        super(Net, self).__init__()
        self.emb = nn.Embedding(VOCAB, emb_dim)
        self.fc1 = nn.Linear(emb_dim, hidden)
        self.fc2 = nn.Linear(hidden, len(DESKS))

    def forward(self, ids):
        h = F.relu(self.fc1(self.emb(ids)))  # batch x words x hidden
        h = torch.from_numpy(np.max(h.data.numpy(), axis=1))  # strongest word for each feature
        return self.fc2(h)


def get_batches(X, y, batch_size):
    order = np.random.permutation(len(X))
    for i in range(0, len(X), batch_size):
        ids = torch.from_numpy(order[i : i + batch_size])
        yield X[ids], y[ids]


net = Net()
optimizer = torch.optim.Adam(net.parameters(), lr=0.004)
loss_fn = nn.CrossEntropyLoss()

for epoch in range(12):
    running_loss, running_correct = 0.0, 0
    for X, y in get_batches(train_X, train_y, 40):
        optimizer.zero_grad()
        out = net(X)
        loss = loss_fn(out, y)
        loss.backward()
        optimizer.step()
        running_loss += loss.item() * len(X)
        running_correct += (out.argmax(1) == y).sum().item()
    with torch.no_grad():
        test_acc = (net(test_X).argmax(1) == test_y).float().mean().item()
    print("epoch", epoch, "loss %.3f" % (running_loss / len(train_X)), "train acc %.3f" % (running_correct / len(train_X)), "test acc %.3f" % test_acc)
