"""Write cheque amounts in words: 4307 -> "four thousand three hundred seven"."""
import random

import torch
import torch.nn as nn
import torch.nn.functional as F

torch.manual_seed(31)
random.seed(31)

ONES = "zero one two three four five six seven eight nine ten eleven twelve thirteen fourteen fifteen " \
       "sixteen seventeen eighteen nineteen".split()
TENS = "twenty thirty forty fifty sixty seventy eighty ninety".split()
VOCAB = ["<pad>", "<sos>", "<eos>", "thousand", "hundred", *ONES[1:], *TENS]
WORD_ID = {word: i for i, word in enumerate(VOCAB)}
PAD, SOS, EOS = 0, 1, 2

N_TRAIN, N_TEST = 3000, 500
HIDDEN = 64
BATCH_SIZE = 64
EPOCHS = 10
LEARNING_RATE = 4e-3


def spell(amount: int) -> list[str]:
    words = []
    if amount >= 1000:
        words += [ONES[amount // 1000], "thousand"]
    if amount % 1000 >= 100:
        words += [ONES[amount % 1000 // 100], "hundred"]
    rest = amount % 100
    if rest >= 20:
        words.append(TENS[rest // 10 - 2])
        rest %= 10
    if rest:
        words.append(ONES[rest])
    return words


class Speller(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.digit_emb = nn.Embedding(10, HIDDEN)
        self.word_emb = nn.Embedding(len(VOCAB), HIDDEN, padding_idx=PAD)
        self.encoder = nn.GRU(HIDDEN, HIDDEN, batch_first=True)
        self.decoder = nn.GRU(HIDDEN, HIDDEN, batch_first=True)
        self.attend = nn.MultiheadAttention(HIDDEN, 4, batch_first=True)
        self.out = nn.Linear(2 * HIDDEN, len(VOCAB))

    def encode(self, digits):
        return self.encoder(self.digit_emb(digits))

    def decode(self, words, memory, state):
        hidden, state = self.decoder(self.word_emb(words), state)
        context, _ = self.attend(hidden, memory, memory, need_weights=False)
        return self.out(torch.cat([hidden, context], dim=-1)), state


amounts = random.sample(range(1, 10000), N_TRAIN + N_TEST)
digits = torch.tensor([[int(d) for d in f"{a:04d}"] for a in amounts])
sequences = [torch.tensor([SOS, *(WORD_ID[w] for w in spell(a)), EOS]) for a in amounts]
words = nn.utils.rnn.pad_sequence(sequences, batch_first=True, padding_value=PAD)
test_digits, test_words = digits[N_TRAIN:], words[N_TRAIN:]

model = Speller()
optimizer = torch.optim.Adam(model.parameters(), lr=LEARNING_RATE)
scheduler = torch.optim.lr_scheduler.OneCycleLR(
    optimizer, max_lr=LEARNING_RATE, epochs=EPOCHS, steps_per_epoch=-(-N_TRAIN // BATCH_SIZE))

for epoch in range(1, EPOCHS + 1):
    model.train()
    total = 0.0
    for idx in torch.randperm(N_TRAIN).split(BATCH_SIZE):
        src, tgt = digits[idx], words[idx]
        memory, state = model.encode(src)
        logits, _ = model.decode(tgt[:, :-1], memory, state)
        log_probs = F.log_softmax(logits, dim=-1)
        loss = F.nll_loss(log_probs.flatten(0, 1), tgt[:, 1:].flatten(), ignore_index=PAD)
        optimizer.zero_grad()
        loss.backward()
        nn.utils.clip_grad_norm_(model.parameters(), 1.0)
        optimizer.step()
        scheduler.step()
        total += loss.item() * len(idx)
    print(f"epoch {epoch:2d} loss {total / N_TRAIN:.4f}")

model.eval()
with torch.no_grad():
    memory, state = model.encode(test_digits)
    token = torch.full((N_TEST, 1), SOS)
    done = torch.zeros(N_TEST, 1, dtype=torch.bool)
    produced = []
    for _ in range(words.size(1) - 1):
        logits, state = model.decode(token, memory, state)
        token = logits.argmax(-1).masked_fill(done, PAD)
        done |= token == EOS
        produced.append(token)
    produced = torch.cat(produced, dim=1)

for i in range(3):
    text = " ".join(VOCAB[t] for t in produced[i].tolist() if t not in (PAD, EOS))
    print(f"{amounts[N_TRAIN + i]:5d} -> {text}")
exact = (produced == test_words[:, 1:]).all(dim=1).float().mean().item()
print(f"test amounts written exactly {exact:.4f}")
