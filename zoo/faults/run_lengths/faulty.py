# Adapted from the translation tutorial: instead of French -> English, "b3d1a2" -> "bbbdaa"
import random

import torch
import torch.nn as nn
import torch.nn.functional as F
from torch import optim

LETTERS = "abcdef"
SOS_token = 0
EOS_token = 1
IN_WORDS = ["<sos>", "<eos>"] + list(LETTERS) + list("123")
OUT_WORDS = ["<sos>", "<eos>"] + list(LETTERS)
MAX_LENGTH = 10


def random_pair():
    letters = random.sample(LETTERS, 3)
    counts = [random.randint(1, 3) for _ in letters]
    packed = [s for c, n in zip(letters, counts) for s in (c, str(n))]
    plain = [c for c, n in zip(letters, counts) for _ in range(n)]
    source = [IN_WORDS.index(s) for s in packed]
    target = [OUT_WORDS.index(s) for s in plain] + [EOS_token] * (MAX_LENGTH - len(plain))
    return source, target


def random_batch(n):
    pairs = [random_pair() for _ in range(n)]
    return torch.tensor([p[0] for p in pairs]), torch.tensor([p[1] for p in pairs])


class EncoderRNN(nn.Module):
    def __init__(self, input_size, hidden_size):
        super(EncoderRNN, self).__init__()
        self.embedding = nn.Embedding(input_size, hidden_size)
        self.gru = nn.GRU(hidden_size, hidden_size, batch_first=True)

    def forward(self, input):
        return self.gru(self.embedding(input))


class DecoderRNN(nn.Module):
    def __init__(self, hidden_size, output_size):
        super(DecoderRNN, self).__init__()
        self.embedding = nn.Embedding(output_size, hidden_size)
        self.gru = nn.GRU(hidden_size, hidden_size, batch_first=True)
        self.out = nn.Linear(hidden_size, output_size)

    def forward(self, input, hidden):
        output, hidden = self.gru(F.relu(self.embedding(input)), hidden)
        return self.out(output), hidden


def train(source, target, encoder, decoder, encoder_optimizer, decoder_optimizer, criterion):
    encoder_optimizer.zero_grad()
    encoder_optimizer.zero_grad()

    _, hidden = encoder(source)
    start = torch.full((len(source), 1), SOS_token)
    decoder_input = torch.cat([start, target[:, :-1]], dim=1)  # teacher forcing
    output, _ = decoder(decoder_input, hidden)
    loss = criterion(output.reshape(-1, len(OUT_WORDS)), target.reshape(-1))

    loss.backward()
    encoder_optimizer.step()
    decoder_optimizer.step()
    return loss.item()


def evaluate(encoder, decoder, source, target):
    encoder.eval()
    decoder.eval()
    with torch.no_grad():
        _, hidden = encoder(source)
        word = torch.full((len(source), 1), SOS_token)
        words = []
        for _ in range(MAX_LENGTH):
            output, hidden = decoder(word, hidden)
            word = output.argmax(-1)
            words.append(word)
    encoder.train()
    decoder.train()
    return (torch.cat(words, dim=1) == target).all(dim=1).float().mean().item()


def trainIters(encoder, decoder, n_iters, print_every=100, learning_rate=0.004):
    print_loss_total = 0
    encoder_optimizer = optim.Adam(encoder.parameters(), lr=learning_rate)
    decoder_optimizer = optim.Adam(decoder.parameters(), lr=learning_rate)
    criterion = nn.CrossEntropyLoss()
    test_source, test_target = random_batch(300)
    for iter in range(1, n_iters + 1):
        source, target = random_batch(48)
        print_loss_total += train(source, target, encoder, decoder, encoder_optimizer, decoder_optimizer, criterion)
        if iter % print_every == 0:
            correct = evaluate(encoder, decoder, test_source, test_target)
            print("(%d %d%%) loss %.4f, unpacked rightly: %.3f" % (iter, iter / n_iters * 100, print_loss_total / print_every, correct))
            print_loss_total = 0


random.seed(5)
torch.manual_seed(5)
hidden_size = 48
encoder1 = EncoderRNN(len(IN_WORDS), hidden_size)
decoder1 = DecoderRNN(hidden_size, len(OUT_WORDS))
trainIters(encoder1, decoder1, 500)
