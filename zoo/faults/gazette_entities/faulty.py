"""Names in gazette sentences: who, where, which firm, when. BiLSTM tagger, adapted from the part-of-speech tutorial to batches."""
import random

import torch
import torch.nn as nn
import torch.nn.functional as F
import torch.optim as optim

TAGS = ["O", "PER", "LOC", "FIRM", "DATE"]
PEOPLE = "anders birgit carl doris egon frieda gustav helga ivar jutta".split()
PLACES = "aalen brunn celle dorum elze frose goslar hagen ilsede jever".split()
FIRMS = "altona borsig condor dynamo elektra fortuna globus hansa".split()
BOTH = "hagen frieda hansa celle".split()  # may be a person, a place or a firm
MONTHS = "january march april june august october".split()
FILLERS = "the a new old council court has sold bought seen opened closed mill bridge house report with for and".split()


def sentence(length):
    words, tags = [], []
    while len(words) < length:
        r = random.random()
        if r < 0.07:
            phrase = [("mr", "O"), (random.choice(PEOPLE + BOTH), "PER")]
        elif r < 0.14:
            phrase = [("in", "O"), (random.choice(PLACES + BOTH), "LOC")]
        elif r < 0.20:
            phrase = [(random.choice(FIRMS + BOTH), "FIRM"), ("ltd", "O")]
        elif r < 0.26:
            phrase = [("on", "O"), (str(random.randint(1, 28)), "DATE"), (random.choice(MONTHS), "DATE")]
        else:
            phrase = [(random.choice(FILLERS), "O")]
        words += [w for w, _ in phrase]
        tags += [TAGS.index(t) for _, t in phrase]
    return words[:length], tags[:length]


vocabulary = sorted({*PEOPLE, *PLACES, *FIRMS, *BOTH, *MONTHS, *FILLERS, "mr", "in", "ltd", "on", *map(str, range(1, 29))})
word_to_ix = {w: i for i, w in enumerate(vocabulary)}


def prepare_batch(n, length):
    pairs = [sentence(length) for _ in range(n)]
    x = torch.tensor([[word_to_ix[w] for w in words] for words, _ in pairs])
    y = torch.tensor([tags for _, tags in pairs])
    return x, y


class LSTMTagger(nn.Module):
    def __init__(self, embedding_dim, hidden_dim):
        super(LSTMTagger, self).__init__()
        self.word_embeddings = nn.Embedding(len(vocabulary), embedding_dim)
        self.lstm = nn.LSTM(embedding_dim, hidden_dim, batch_first=True, bidirectional=True)
        self.hidden2tag = nn.Linear(2 * hidden_dim, len(TAGS))

    def forward(self, sentences):
        embeds = self.word_embeddings(sentences)
        lstm_out, _ = self.lstm(embeds)
        tag_space = self.hidden2tag(lstm_out)
        tag_scores = F.log_softmax(tag_space, dim=1)
        return tag_scores


random.seed(9)
torch.manual_seed(9)
model = LSTMTagger(24, 32)
loss_function = nn.NLLLoss()
optimizer = optim.Adam(model.parameters(), lr=0.005)
test_batches = [prepare_batch(50, length) for length in (6, 9, 12, 15)]

for step in range(1, 351):
    sentences, targets = prepare_batch(24, random.choice([6, 8, 10, 12, 14]))
    model.zero_grad()
    tag_scores = model(sentences)
    loss = loss_function(tag_scores.view(-1, len(TAGS)), targets.view(-1))
    loss.backward()
    optimizer.step()

    if step % 50 == 0:
        right, found, there = 0, 0, 0
        with torch.no_grad():
            for x, y in test_batches:
                guess = model(x).argmax(dim=2)
                right += ((guess == y) & (y > 0)).sum().item()
                found += (guess > 0).sum().item()
                there += (y > 0).sum().item()
        f1 = 2 * right / (found + there)
        print("step %d loss %.4f F1 %.4f" % (step, loss.item(), f1))
