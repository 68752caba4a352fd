"""A noisy ticker tape: pulses of eight shapes and unequal widths must be read as letters (CTC)."""
import os

import numpy as np
import torch
from torch import nn

SEED = int(os.environ.get("SEED", "0"))
LETTERS, CHANNELS = "ABCDEFGH", 4
STEPS, BATCH = 300, 24
rng = np.random.default_rng(SEED)
SHAPES = np.array([[1, 0, 0, 1], [0, 1, 0, 1], [0, 0, 1, 1], [1, 1, 0, 0],
                   [1, 0, 1, 0], [0, 1, 1, 0], [1, 1, 1, 0], [0, 1, 1, 1]], dtype=np.float32)


def tape():
    """A word and its tape; between two pulses there is always a gap."""
    word = rng.integers(0, len(LETTERS), rng.integers(3, 7))
    pieces = [np.zeros((rng.integers(2, 6), CHANNELS))]
    for letter in word:
        width = rng.integers(2, 6)
        pieces.append(np.repeat(SHAPES[letter][None], width, 0) * rng.uniform(0.7, 1.3))
        pieces.append(np.zeros((rng.integers(1, 5), CHANNELS)))
    signal = np.concatenate(pieces)
    signal = signal + rng.normal(0, 0.25, signal.shape)
    return torch.tensor(signal, dtype=torch.float32), torch.tensor(word + 1)


def batch(n):
    signals, words = zip(*[tape() for _ in range(n)])
    x = nn.utils.rnn.pad_sequence(signals, batch_first=True)
    return (x, torch.tensor([len(s) for s in signals]), torch.cat(words), torch.tensor([len(w) for w in words]))


class Reader(nn.Module):
    def __init__(self, hidden=48):
        super().__init__()
        self.conv = nn.Conv1d(CHANNELS, hidden, 3, padding=1)
        self.rnn = nn.GRU(hidden, hidden, batch_first=True, bidirectional=True)
        self.out = nn.Linear(2 * hidden, len(LETTERS) + 1)

    def forward(self, x, lengths):
        h = torch.relu(self.conv(x.transpose(1, 2))).transpose(1, 2)
        h = nn.utils.rnn.pack_padded_sequence(h, lengths, batch_first=True, enforce_sorted=False)
        h, _ = nn.utils.rnn.pad_packed_sequence(self.rnn(h)[0], batch_first=True)
        return self.out(h).log_softmax(-1)


def collapse(path):
    out, previous = [], 0
    for token in path:
        if token != previous and token != 0:
            out.append(token)
        previous = token
    return out


def edit_distance(a, b):
    row = list(range(len(b) + 1))
    for i, x in enumerate(a, 1):
        diagonal, row[0] = row[0], i
        for j, y in enumerate(b, 1):
            diagonal, row[j] = row[j], min(row[j] + 1, row[j - 1] + 1, diagonal + (x != y))
    return row[-1]


def letter_error(model, data):
    x, x_len, words, w_len = data
    model.eval()
    with torch.no_grad():
        best = model(x, x_len).argmax(-1)
    model.train()
    wrong = 0
    for path, n, word in zip(best, x_len.tolist(), words.split(w_len.tolist())):
        wrong += edit_distance(collapse(path[:n].tolist()), word.tolist())
    return wrong / int(w_len.sum())


def main():
    torch.manual_seed(SEED)
    test = batch(200)
    model = Reader()
    opt = torch.optim.Adam(model.parameters(), lr=6e-3)
    sched = torch.optim.lr_scheduler.OneCycleLR(opt, max_lr=6e-3, total_steps=STEPS, pct_start=0.2)
    ctc = nn.CTCLoss(blank=0)
    for step in range(STEPS):
        x, x_len, words, w_len = batch(BATCH)
        loss = ctc(model(x, x_len).transpose(0, 1), words, x_len, w_len)
        opt.zero_grad()
        loss.backward()
        nn.utils.clip_grad_norm_(model.parameters(), 5.0)
        opt.step()
        sched.step()
        if step % 60 == 59:
            print(f"step {step + 1} loss {loss.item():.4f} letter error {letter_error(model, test):.3f}")
    print(f"letter error on 200 unseen tapes {letter_error(model, test):.4f}")


if __name__ == "__main__":
    main()
