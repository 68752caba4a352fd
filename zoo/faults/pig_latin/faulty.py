"""English -> pig latin, character by character, encoder-decoder with GRUs."""
import random
import torch
import torch.nn as nn
import torch.nn.functional as F

random.seed(6)
torch.manual_seed(6)

LETTERS = "bdgklmnprstaeiou"
PAD, SOS, EOS = 0, 1, 2
stoi = {c: i + 3 for i, c in enumerate(LETTERS + "y")}
V = len(stoi) + 3


def word():
    out = random.choice("bdgklmnprst")
    for _ in range(random.randint(1, 2)):
        out += random.choice("aeiou") + random.choice("bdgklmnprst")
    return out


def translate(w):
    return w[1:] + w[0] + "ay"


def to_tensor(ws, length):
    rows = []
    for w in ws:
        ids = [stoi[c] for c in w] + [EOS]
        rows.append(ids + [PAD] * (length - len(ids)))
    return torch.tensor(rows)


words = sorted({word() for _ in range(2600)})
random.shuffle(words)
src = to_tensor(words, 6)
tgt = to_tensor([translate(w) for w in words], 8)
n_test = 250
src_train, tgt_train = src[n_test:], tgt[n_test:]
src_test, tgt_test = src[:n_test], tgt[:n_test]
print(len(src_train), "training words")


class Encoder(nn.Module):
    def __init__(self, hidden):
        super().__init__()
        self.embedding = nn.Embedding(V, 24, padding_idx=PAD)
        self.gru = nn.GRU(24, hidden, batch_first=True)

    def forward(self, x):
        _, h = self.gru(self.embedding(x))
        return h


class Decoder(nn.Module):
    def __init__(self, hidden):
        super().__init__()
        self.embedding = nn.Embedding(V, 24, padding_idx=PAD)
        self.gru = nn.GRU(24, hidden, batch_first=True)
        self.out = nn.Linear(hidden, V)

    def forward(self, token, h):
        o, h = self.gru(self.embedding(token).unsqueeze(1), h)
        return self.out(o.squeeze(1)), h


class Seq2Seq(nn.Module):
    def __init__(self, hidden=96):
        super().__init__()
        self.encoder = Encoder(hidden)
        self.decoder = Decoder(hidden)

    def forward(self, src, tgt):
        h = self.encoder(src)
        token = torch.full((src.size(0),), SOS)
        outputs = []
        for t in range(tgt.size(1)):
            logits, h = self.decoder(token, h)
            outputs.append(logits)
            token = tgt[:, t]          # teacher forcing
        return torch.stack(outputs)

    @torch.no_grad()
    def greedy(self, src, steps):
        h = self.encoder(src)
        token = torch.full((src.size(0),), SOS)
        result = []
        for _ in range(steps):
            logits, h = self.decoder(token, h)
            token = logits.argmax(-1)
            result.append(token)
        return torch.stack(result, dim=1)


def char_accuracy(model):
    pred = model.greedy(src_test, tgt_test.size(1))
    real = tgt_test != PAD
    return (pred == tgt_test)[real].float().mean().item()


def main():
    model = Seq2Seq()
    opt = torch.optim.Adam(model.parameters(), lr=4e-3)
    for epoch in range(1, 9):
        perm = torch.randperm(len(src_train))
        losses = []
        for idx in perm.split(64):
            y = tgt_train[idx]
            logits = model(src_train[idx], y)
            loss = F.cross_entropy(logits.reshape(-1, V), y.reshape(-1), ignore_index=PAD)
            opt.zero_grad()
            loss.backward()
            nn.utils.clip_grad_norm_(model.parameters(), 1.0)
            opt.step()
            losses.append(loss.item())
        print(f"epoch {epoch:2d} loss {sum(losses) / len(losses):.3f} test chars {char_accuracy(model):.3f}")
    itos = {i: c for c, i in stoi.items()}
    for s, p in zip(src_test[:5], model.greedy(src_test[:5], 8)):
        print("".join(itos.get(i, "") for i in s.tolist()), "->", "".join(itos.get(i, "_") for i in p.tolist()))
    print(f"test char accuracy {char_accuracy(model):.4f}")


if __name__ == "__main__":
    main()
