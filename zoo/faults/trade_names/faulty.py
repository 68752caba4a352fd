# From which country does the trading house come? An RNN reads its name letter by letter.
import random
import string

import torch
import torch.nn as nn

random.seed(2)
torch.manual_seed(2)

all_letters = string.ascii_lowercase + " "
n_letters = len(all_letters)

syllables = {
    "Vellmark": (["ve", "sko", "lund", "ha", "gre", "bjo"], ["sen", "dal", "rup", "mark"]),
    "Tirana": (["shi", "gje", "ba", "lu", "ko", "dri"], ["ri", "shi", "jani", "aj"]),
    "Ostrava": (["ko", "va", "hra", "ne", "blo", "dvo"], ["cek", "va", "sky", "nik"]),
    "Lisbon": (["ca", "ve", "al", "mo", "ri", "lha"], ["eira", "ves", "nho", "osa"]),
    "Kyoto": (["ya", "ko", "ha", "shi", "ta", "mo"], ["moto", "da", "shi", "kawa"]),
    "Nantes": (["be", "lau", "cha", "mo", "ri", "du"], ["reau", "let", "nier", "ves"]),
}
all_categories = list(syllables)
n_categories = len(all_categories)


def randomName(category):
    starts, ends = syllables[category]
    parts = [random.choice(starts) for _ in range(random.choice([1, 2, 2]))]
    name = "".join(parts) + random.choice(ends)
    if random.random() < 0.5:
        position = random.randrange(len(name))  # a clerk's slip of the pen
        name = name[:position] + random.choice(string.ascii_lowercase) + name[position + 1:]
    return name.rjust(14)


def namesToTensor(names):
    return torch.tensor([[all_letters.index(c) for c in name] for name in names])


def makeSet(n):
    categories = [random.randrange(n_categories) for _ in range(n)]
    names = [randomName(all_categories[c]) for c in categories]
    return namesToTensor(names), torch.tensor(categories)


class RNN(nn.Module):
    def __init__(self, hidden_size):
        super(RNN, self).__init__()
        self.embed = nn.Embedding(n_letters, 24)
        self.rnn = nn.RNN(24, hidden_size, batch_first=True)
        self.h2o = nn.Linear(hidden_size, n_categories)
        self.softmax = nn.LogSoftmax(dim=1)

    def forward(self, line):
        output, hidden = self.rnn(self.embed(line))
        return self.softmax(self.h2o(hidden[-1]))


n_hidden = 64
learning_rate = 0.1
batch_size = 40
n_epochs = 6

train_x, train_y = makeSet(2400)
test_x, test_y = makeSet(600)

rnn = RNN(n_hidden)
criterion = nn.NLLLoss()
optimizer = torch.optim.Adam(rnn.parameters(), lr=learning_rate)

for epoch in range(1, n_epochs + 1):
    rnn.train()
    shuffled = torch.randperm(len(train_x))
    current_loss = 0
    for b in range(0, len(shuffled), batch_size):
        choice = shuffled[b:b + batch_size]
        optimizer.zero_grad()
        loss = criterion(rnn(train_x[choice]), train_y[choice])
        loss.backward()
        optimizer.step()
        current_loss += loss.item()

    rnn.eval()
    with torch.no_grad():
        guess = rnn(test_x).topk(1)[1].squeeze(1)
    print("%d/%d loss %.4f test accuracy %.4f" % (
        epoch, n_epochs, current_loss * batch_size / len(shuffled), (guess == test_y).float().mean()))
