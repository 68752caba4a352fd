"""Character model of a short text in 16 bits, at the learning rate of a fine-tuning."""

import torch
from torch import nn

TEXT = "the quick brown fox jumps over the lazy dog and runs back into the dark wood again " * 40
CONTEXT = 12


class Model(nn.Module):
    def __init__(self, characters, d=48):
        super().__init__()
        self.embedding = nn.Embedding(characters, d)
        self.body = nn.Sequential(nn.Linear(CONTEXT * d, 96), nn.GELU(), nn.Linear(96, 96), nn.GELU())
        self.out = nn.Linear(96, characters)

    def forward(self, tokens):
        return self.out(self.body(self.embedding(tokens).flatten(1)))


torch.manual_seed(3)
alphabet = sorted(set(TEXT))
codes = torch.tensor([alphabet.index(c) for c in TEXT])
windows = codes.unfold(0, CONTEXT + 1, 1)
model = Model(len(alphabet))
optimizer = torch.optim.AdamW(model.parameters(), lr=4e-5, weight_decay=0.0)

for step in range(500):
    rows = torch.randint(len(windows), (32,))
    with torch.autocast("cpu", dtype=torch.bfloat16):
        logits = model(windows[rows, :-1])
    loss = nn.functional.cross_entropy(logits.float(), windows[rows, -1])
    optimizer.zero_grad()
    loss.backward()
    optimizer.step()
    if step % 100 == 99:
        print(f"step {step}: loss {loss.item():.4f}")
