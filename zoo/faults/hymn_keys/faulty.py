# Transpose a hymn line: the first token names the interval, the rest are the notes.
# Moved over from my old TensorFlow 1 notebook.
import random
import torch
import torch.nn as nn
import torch.nn.functional as F

random.seed(6)
torch.manual_seed(6)

NOTES = 12
INTERVALS = [-5, -2, 2, 3, 5]
BOS = NOTES + len(INTERVALS)
VOCAB = BOS + 1
LINE = 5


def hymn_line():
    k = random.randrange(len(INTERVALS))
    note = random.randrange(NOTES)
    notes = []
    for _ in range(LINE):
        notes.append(note)
        note = (note + random.choice([-4, -2, -1, 0, 1, 2, 3, 5])) % NOTES
    moved = [(n + INTERVALS[k]) % NOTES for n in notes]
    return [NOTES + k] + notes, moved


lines = [hymn_line() for _ in range(3300)]
src = torch.tensor([s for s, _ in lines])
tgt = torch.tensor([t for _, t in lines])
src_train, tgt_train = src[:3000], tgt[:3000]
src_test, tgt_test = src[3000:], tgt[3000:]

DIM, HIDDEN = 24, 64
keep_prob = 0.9
embed = nn.Embedding(VOCAB, DIM)
encoder = nn.GRU(DIM, HIDDEN, batch_first=True, bidirectional=True)
bridge = nn.Linear(2 * HIDDEN, HIDDEN)
keys = nn.Linear(2 * HIDDEN, HIDDEN)
decoder = nn.GRUCell(DIM + HIDDEN, HIDDEN)
dropout = nn.Dropout(keep_prob)
output = nn.Linear(2 * HIDDEN, NOTES)
net = nn.ModuleList([embed, encoder, bridge, keys, decoder, dropout, output])
optimizer = torch.optim.Adam(net.parameters(), lr=3e-3)


def encode(s):
    memory, last = encoder(dropout(embed(s)))
    state = torch.tanh(bridge(torch.cat([last[0], last[1]], dim=1)))
    return keys(memory), state


def decode_step(token, state, context, memory):
    state = decoder(torch.cat([dropout(embed(token)), context], dim=1), state)
    scores = torch.bmm(memory, state.unsqueeze(2)).squeeze(2) / HIDDEN ** 0.5
    context = torch.bmm(scores.softmax(dim=1).unsqueeze(1), memory).squeeze(1)
    return output(dropout(torch.cat([state, context], dim=1))), state, context


for epoch in range(1, 12):
    net.train()
    total = 0.0
    for rows in torch.randperm(len(src_train)).split(50):
        s, t = src_train[rows], tgt_train[rows]
        memory, state = encode(s)
        context = torch.zeros(len(s), HIDDEN)
        token = torch.full((len(s),), BOS)
        loss = 0.0
        for j in range(LINE):
            logits, state, context = decode_step(token, state, context, memory)
            loss = loss + F.cross_entropy(logits, t[:, j]) / LINE
            token = t[:, j]
        optimizer.zero_grad()
        loss.backward()
        nn.utils.clip_grad_norm_(net.parameters(), 1.0)
        optimizer.step()
        total += loss.item() * len(s)
    if epoch % 4 == 0:
        print("epoch %d, loss %.4f" % (epoch, total / len(src_train)))

net.eval()
with torch.no_grad():
    memory, state = encode(src_test)
    context = torch.zeros(len(src_test), HIDDEN)
    token = torch.full((len(src_test),), BOS)
    sung = []
    for j in range(LINE):
        logits, state, context = decode_step(token, state, context, memory)
        token = logits.argmax(1)
        sung.append(token)
sung = torch.stack(sung, dim=1)
print("whole lines right: %.3f" % (sung == tgt_test).all(1).float().mean().item())
print("notes right: %.4f" % (sung == tgt_test).float().mean().item())
