"""Corrects slips of a typist, letter by letter: encoder-decoder with attention (after the seq2seq tutorial), batched."""
import math
import random
import string

import torch
import torch.nn as nn
import torch.nn.functional as F
from torch.utils.data import DataLoader, TensorDataset

random.seed(12)
torch.manual_seed(12)

PAD, SOS, EOS = 0, 1, 2
LETTERS = string.ascii_lowercase
CODE = {c: i + 3 for i, c in enumerate(LETTERS)}
LENGTH = 8


def word_list(n=120):
    """Words of the code book: two or three syllables."""
    words = set()
    while len(words) < n:
        words.add("".join(random.choice("bdfgklmnprstvz") + random.choice("aeiou") for _ in range(random.choice((2, 3)))))
    return sorted(words)


def slip(word):
    """One slip of the finger: neighbours swapped, a letter doubled, dropped or replaced."""
    i = random.randrange(len(word) - 1)
    kind = random.choice(("swap", "double", "drop", "other"))
    if kind == "swap":
        return word[:i] + word[i + 1] + word[i] + word[i + 2:]
    if kind == "double":
        return word[:i] + word[i] + word[i:]
    if kind == "drop":
        return word[:i] + word[i + 1:]
    return word[:i] + random.choice(LETTERS) + word[i + 1:]


def encode(words):
    out = torch.full((len(words), LENGTH), PAD)
    for row, word in enumerate(words):
        ids = [CODE[c] for c in word] + [EOS]
        out[row, :len(ids)] = torch.tensor(ids)
    return out


class Corrector(nn.Module):
    def __init__(self, n_tokens=29, hidden=96):
        super().__init__()
        self.embed = nn.Embedding(n_tokens, hidden, padding_idx=PAD)
        self.encoder = nn.GRU(hidden, hidden // 2, batch_first=True, bidirectional=True)
        self.decoder = nn.GRU(hidden, hidden, batch_first=True)
        self.attention = nn.Softmax(dim=-1)
        self.out = nn.Linear(2 * hidden, n_tokens)

    def forward(self, source, previous, state=None):
        memory, last = self.encoder(self.embed(source))
        if state is None:
            state = torch.cat([last[0], last[1]], dim=-1).unsqueeze(0)
        y, state = self.decoder(self.embed(previous), state)
        score = y @ memory.transpose(1, 2) / math.sqrt(y.size(-1))
        weight = self.attention(score.masked_fill((source == PAD).unsqueeze(1), -1e9))
        return self.out(torch.cat([y, weight @ memory], dim=-1)), state

    @torch.no_grad()
    def correct(self, source):
        token, state, out = torch.full((len(source), 1), SOS), None, []
        for _ in range(LENGTH):
            logits, state = self(source, token, state)
            token = logits.argmax(-1)
            out.append(token)
        return torch.cat(out, dim=1)


words = word_list()
copies = 10
typed = [slip(w) for _ in range(copies) for w in words]
meant = [w for w in words for _ in range(copies)]
loader = DataLoader(TensorDataset(encode(typed), encode(meant)), batch_size=60, shuffle=True)

model = Corrector()
optimizer = torch.optim.Adam(model.parameters(), lr=3e-3)
scheduler = torch.optim.lr_scheduler.CosineAnnealingLR(optimizer, T_max=24)
watch = {}
model.attention.register_forward_hook(lambda m, i, o: watch.update(peak=o.detach().max(-1).values.mean().item()))
model.embed.weight.register_hook(lambda g: watch.update(grad=g.norm().item()))

for epoch in range(1, 25):
    model.train()
    total = 0.0
    for source, target in loader:
        previous = torch.cat([torch.full((len(target), 1), SOS), target[:, :-1]], dim=1)
        logits, _ = model(source, previous)
        loss = F.cross_entropy(logits.flatten(0, 1), target.flatten(), ignore_index=PAD)
        optimizer.zero_grad()
        loss.backward()
        nn.utils.clip_grad_norm_(model.parameters(), 1.0)
        optimizer.step()
        total += loss.item()
    scheduler.step()
    if epoch % 6 == 0:
        print(f"epoch {epoch}  loss {total / len(loader):.4f}  attention peak {watch['peak']:.2f}  embedding gradient {watch['grad']:.3f}")

model.eval()
fresh = [slip(w) for w in words for _ in range(3)]
answers = model.correct(encode(fresh)).tolist()
wanted = [w for w in words for _ in range(3)]
right = 0
for row, word in zip(answers, wanted):
    row = row[:row.index(EOS)] if EOS in row else row
    right += row == [CODE[c] for c in word]
print(f"slips corrected {right / len(wanted):.4f}")
