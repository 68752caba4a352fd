"""Digital clock to spoken time: "07:45" -> "quarter to eight"."""
import torch
import torch.nn.functional as F
from torch import nn
from torch.utils.data import DataLoader, TensorDataset

HOURS = "twelve one two three four five six seven eight nine ten eleven".split()
WORDS = HOURS + "quarter half past to o'clock twenty thirteen fourteen sixteen seventeen eighteen nineteen".split()
VOCAB = ["<pad>", "<go>", "<end>", *WORDS]
INDEX = {w: i for i, w in enumerate(VOCAB)}
SMALL = ["", *HOURS[1:], "twelve", "thirteen", "fourteen", "quarter", "sixteen", "seventeen", "eighteen", "nineteen"]
LENGTH = 6


def minutes_in_words(m):
    return f"twenty {SMALL[m - 20]}" if m >= 20 else SMALL[m]


def speak(h, m):
    if m == 0:
        return f"{HOURS[h % 12]} o'clock"
    if m == 30:
        return f"half past {HOURS[h % 12]}"
    if m < 30:
        return f"{minutes_in_words(m)} past {HOURS[h % 12]}"
    return f"{minutes_in_words(60 - m)} to {HOURS[(h + 1) % 12]}"


def all_times():
    src, tgt = [], []
    for h in range(24):
        for m in range(60):
            src.append([int(c) for c in f"{h:02d}{m:02d}"])
            ids = [INDEX["<go>"], *(INDEX[w] for w in speak(h, m).split()), INDEX["<end>"]]
            tgt.append(ids + [0] * (LENGTH + 1 - len(ids)))
    return torch.tensor(src), torch.tensor(tgt)


class Speaker(nn.Module):
    def __init__(self, d=64):
        super().__init__()
        self.digit = nn.Embedding(40, d)
        self.encoder = nn.GRU(d, d, batch_first=True)
        self.word = nn.Embedding(len(VOCAB), d, padding_idx=0)
        self.decoder = nn.GRU(2 * d, d, batch_first=True)
        self.out = nn.Linear(d, len(VOCAB))

    def encode(self, src):
        places = torch.arange(4) * 10
        return self.encoder(self.digit(src + places))[1]

    def decode(self, words, state, code):
        e = self.word(words)
        out, state = self.decoder(torch.cat([e, code.transpose(0, 1).expand(-1, e.shape[1], -1)], dim=2), state)
        return self.out(out), state

    def forward(self, src, words):
        code = self.encode(src)
        return self.decode(words, code, code)[0]

    @torch.no_grad()
    def say(self, src):
        code = state = self.encode(src)
        word, said = torch.full((len(src), 1), INDEX["<go>"]), []
        for _ in range(LENGTH):
            logits, state = self.decode(word, state, code)
            word = logits.argmax(-1)
            said.append(word)
        return torch.cat(said, dim=1)


def exact(model, src, tgt):
    want = tgt[:, 1:]
    return ((model.say(src) == want) | (want == 0)).all(dim=1).float().mean().item()


def main():
    torch.manual_seed(19)
    src, tgt = all_times()
    order = torch.randperm(len(src))
    train, test = order[:1150], order[1150:]
    loader = DataLoader(TensorDataset(src[train], tgt[train]), batch_size=64)
    model = Speaker()
    optimizer = torch.optim.Adam(model.parameters(), lr=5e-3)
    for step in range(1, 351):
        digits, words = next(iter(loader))
        logits = model(digits, words[:, :-1])
        loss = F.cross_entropy(logits.transpose(1, 2), words[:, 1:], ignore_index=0)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        if step % 50 == 0:
            print(f"step {step} loss {loss.item():.4f} exact {exact(model, src[test], tgt[test]):.3f}")


if __name__ == "__main__":
    main()
