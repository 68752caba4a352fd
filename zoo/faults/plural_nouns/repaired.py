"""Plurals of an invented language, letter by letter: encoder and decoder as in the translation tutorial."""
import random

import torch
import torch.nn as nn
from torch import optim

SOS, EOS = 0, 1
LETTERS = "abdefiklmnorstuy"
N_CHARS = len(LETTERS) + 2
MAX_LENGTH = 8


def plural(word):
    if word[-1] == "y":
        return word[:-1] + "ie"
    if word[-1] == "f":
        return word[:-1] + "be"
    if word[-1] in "aeiou":
        return word + "n"
    return word + "es"


def make_word():
    word = ""
    for _ in range(random.choice([1, 2])):
        word += random.choice("bdfklmnrst") + random.choice("aeiou")
    return word + random.choice(["", "", "y", "f", "s", "k"])


def to_ids(word):
    ids = [LETTERS.index(c) + 2 for c in word] + [EOS]
    return ids + [EOS] * (MAX_LENGTH - len(ids))


def to_word(ids):
    word = ""
    for i in ids:
        if i == EOS:
            break
        word += LETTERS[i - 2] if i > 1 else "?"
    return word


class EncoderRNN(nn.Module):
    def __init__(self, hidden_size):
        super(EncoderRNN, self).__init__()
        self.embedding = nn.Embedding(N_CHARS, 32)
        self.gru = nn.GRU(32, hidden_size, batch_first=True)

    def forward(self, input):
        output, hidden = self.gru(self.embedding(input))
        return hidden


class DecoderRNN(nn.Module):
    def __init__(self, hidden_size):
        super(DecoderRNN, self).__init__()
        self.embedding = nn.Embedding(N_CHARS, 32)
        self.gru = nn.GRU(32, hidden_size, batch_first=True)
        self.out = nn.Linear(hidden_size, N_CHARS)

    def forward(self, input, hidden):
        output, hidden = self.gru(self.embedding(input), hidden)
        return self.out(output), hidden


def train(input, target, encoder, decoder, encoder_optimizer, decoder_optimizer, criterion):
    encoder_optimizer.zero_grad()
    decoder_optimizer.zero_grad()

    start = torch.full((len(input), 1), SOS)
    decoder_input = torch.cat([start, target[:, :-1]], 1)  # teacher forcing
    output, _ = decoder(decoder_input, encoder(input))
    loss = criterion(output.reshape(-1, N_CHARS), target.reshape(-1))
    loss.backward()

    encoder_optimizer.step()
    decoder_optimizer.step()
    return loss.item()


def evaluate(encoder, decoder, words):
    with torch.no_grad():
        hidden = encoder(torch.tensor([to_ids(w) for w in words]))
        token = torch.full((len(words), 1), SOS)
        decoded = []
        for _ in range(MAX_LENGTH):
            output, hidden = decoder(token, hidden)
            token = output.argmax(-1)
            decoded.append(token)
    decoded = torch.cat(decoded, 1).tolist()
    return sum(to_word(d) == plural(w) for d, w in zip(decoded, words)) / len(words)


def trainIters(encoder, decoder, n_iters, learning_rate=0.005):
    encoder_optimizer = optim.Adam(encoder.parameters(), lr=learning_rate)
    decoder_optimizer = optim.Adam(decoder.parameters(), lr=learning_rate)
    criterion = nn.CrossEntropyLoss()
    print_loss_total = 0
    for it in range(1, n_iters + 1):
        words = random.sample(train_words, 48)
        input = torch.tensor([to_ids(w) for w in words])
        target = torch.tensor([to_ids(plural(w)) for w in words])
        print_loss_total += train(input, target, encoder, decoder, encoder_optimizer, decoder_optimizer, criterion)
        if it % 100 == 0:
            print("%d loss %.4f words right %.3f" % (it, print_loss_total / 100, evaluate(encoder, decoder, test_words)))
            print_loss_total = 0


random.seed(4)
torch.manual_seed(4)
vocabulary = sorted({make_word() for _ in range(6000)})
random.shuffle(vocabulary)
test_words, train_words = vocabulary[:400], vocabulary[400:]
trainIters(EncoderRNN(80), DecoderRNN(80), 500)
