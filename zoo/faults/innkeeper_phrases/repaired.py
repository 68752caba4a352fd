"""Seq2seq translation tutorial, on the phrases of an innkeeper who writes in the dialect of the valley (invented word for word)."""
import random

import torch
import torch.nn as nn
import torch.nn.functional as F

random.seed(8)
torch.manual_seed(8)

PAD, SOS, EOS = 0, 1, 2
numbers = {"one": "ün", "two": "dei", "three": "trai", "four": "quat", "five": "tschin", "six": "ses"}
adjectives = {"cold": "fraid", "warm": "chod", "old": "vegl", "fresh": "frestg", "sweet": "dutsch", "small": "pitschen", "big": "grond"}
nouns = {"soup": "schuppa", "bread": "paun", "room": "chombra", "bed": "letg", "wine": "vin", "horse": "chavagl", "cake": "tuorta", "blanket": "cuverta"}
places = {"upstairs": "si sura", "outside": "ora dadora", "here": "qua", "tonight": "questa saira", "tomorrow": "damaun"}


class Lang:
    def __init__(self):
        self.word2index, self.index2word = {}, {PAD: "PAD", SOS: "SOS", EOS: "EOS"}

    def add_sentence(self, sentence):
        for word in sentence.split(" "):
            if word not in self.word2index:
                self.word2index[word] = len(self.index2word)
                self.index2word[len(self.index2word)] = word


def prepare_data(pairs):
    input_lang, output_lang = Lang(), Lang()
    for source, target in pairs:
        input_lang.add_sentence(source)
        output_lang.add_sentence(target)
    return input_lang, output_lang


def to_tensor(lang, sentences, length):
    out = torch.full((len(sentences), length), PAD)
    for row, sentence in enumerate(sentences):
        ids = [lang.word2index[w] for w in sentence.split(" ")] + [EOS]
        out[row, :len(ids)] = torch.tensor(ids)
    return out


class Seq2Seq(nn.Module):
    def __init__(self, n_in, n_out, hidden=96):
        super().__init__()
        self.emb_in, self.emb_out = nn.Embedding(n_in, hidden, padding_idx=PAD), nn.Embedding(n_out, hidden, padding_idx=PAD)
        self.encoder, self.decoder = nn.GRU(hidden, hidden, batch_first=True), nn.GRU(hidden, hidden, batch_first=True)
        self.out = nn.Linear(2 * hidden, n_out)

    def forward(self, source, decoder_input, state=None):
        memory, last = self.encoder(self.emb_in(source))
        y, state = self.decoder(self.emb_out(decoder_input), last if state is None else state)
        score = (y @ memory.transpose(1, 2)).masked_fill((source == PAD)[:, None, :], float("-inf"))
        context = F.softmax(score, dim=-1) @ memory
        return self.out(torch.cat([y, context], dim=-1)), state


# ---- all phrases; in the dialect the adjective follows the noun and the number ends the phrase
pairs = []
for n, n_d in numbers.items():
    for a, a_d in adjectives.items():
        for s, s_d in nouns.items():
            for p, p_d in places.items():
                pairs.append((f"{n} {a} {s} {p}", f"{p_d} {s_d} {a_d} {n_d}"))
random.shuffle(pairs)
train_pairs, test_pairs = pairs[:700], pairs[700:1000]

input_lang, output_lang = prepare_data(train_pairs)
train_x = to_tensor(input_lang, [s for s, _ in train_pairs], 6)
train_y = to_tensor(output_lang, [t for _, t in train_pairs], 7)
loader = torch.utils.data.DataLoader(torch.utils.data.TensorDataset(train_x, train_y), batch_size=50, shuffle=True)

model = Seq2Seq(len(input_lang.index2word), len(output_lang.index2word))
optimizer = torch.optim.Adam(model.parameters(), lr=2e-3)
criterion = nn.CrossEntropyLoss(ignore_index=PAD)
for epoch in range(1, 31):
    model.train()
    total = 0.0
    for x, y in loader:
        decoder_input = torch.cat([torch.full((len(y), 1), SOS), y[:, :-1]], dim=1)
        logits, _ = model(x, decoder_input)
        loss = criterion(logits.flatten(0, 1), y.flatten())
        optimizer.zero_grad()
        loss.backward()
        nn.utils.clip_grad_norm_(model.parameters(), 1.0)
        optimizer.step()
        total += loss.item()
    if epoch % 5 == 0:
        print(f"epoch {epoch}  train loss {total / len(loader):.4f}")

# ---- phrases never seen
test_x = to_tensor(input_lang, [s for s, _ in test_pairs], 6)
model.eval()
with torch.no_grad():
    token, state, said = torch.full((len(test_x), 1), SOS), None, []
    for _ in range(7):
        logits, state = model(test_x, token, state)
        token = logits.argmax(-1)
        said.append(token)
said = torch.cat(said, dim=1).tolist()
hits = 0
for row, (source, target) in zip(said, test_pairs):
    row = row[:row.index(EOS)] if EOS in row else row
    hits += " ".join(output_lang.index2word[i] for i in row) == target
print(f"phrases translated exactly: {hits / len(test_pairs):.3f}")
