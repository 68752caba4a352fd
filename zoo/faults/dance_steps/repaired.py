import math

import torch
import torch.nn as nn

# A dance is written as a row of steps. Judges want to know: did the turn (1) come before the dip (2)?
N_STEPS = 20
TURN, DIP = 1, 2


class PositionalEncoding(nn.Module):
    def __init__(self, d_model, dropout=0.0, max_len=512):
        super().__init__()
        self.dropout = nn.Dropout(p=dropout)
        position = torch.arange(max_len).unsqueeze(1)
        div_term = torch.exp(torch.arange(0, d_model, 2) * (-math.log(10000.0) / d_model))
        pe = torch.zeros(max_len, 1, d_model)
        pe[:, 0, 0::2] = torch.sin(position * div_term)
        pe[:, 0, 1::2] = torch.cos(position * div_term)
        self.register_buffer("pe", pe)

    def forward(self, x):
        x = x + self.pe[: x.size(1)].transpose(0, 1)
        return self.dropout(x)


class DanceModel(nn.Module):
    def __init__(self, d_model=32, nhead=4, nlayers=2):
        super().__init__()
        self.d_model = d_model
        self.embedding = nn.Embedding(N_STEPS, d_model)
        nn.init.normal_(self.embedding.weight, std=d_model**-0.5)
        self.pos_encoder = PositionalEncoding(d_model)
        layer = nn.TransformerEncoderLayer(d_model, nhead, 64, dropout=0.0, batch_first=True, norm_first=True)
        self.encoder = nn.TransformerEncoder(layer, nlayers, enable_nested_tensor=False)
        self.norm = nn.LayerNorm(d_model)
        self.decoder = nn.Linear(d_model, 2)

    def forward(self, src):
        src = self.embedding(src) * math.sqrt(self.d_model)
        src = self.pos_encoder(src)
        out = self.norm(self.encoder(src))
        return self.decoder(out.mean(dim=1))


def dances(n, length=10):
    steps = torch.randint(3, N_STEPS, (n, length))
    places = torch.rand(n, length).argsort(dim=1)[:, :2]
    steps.scatter_(1, places[:, :1], TURN)
    steps.scatter_(1, places[:, 1:], DIP)
    return steps, (places[:, 0] < places[:, 1]).long()


torch.manual_seed(2)
train_x, train_y = dances(1600)
val_x, val_y = dances(400)

model = DanceModel()
criterion = nn.CrossEntropyLoss()
optimizer = torch.optim.Adam(model.parameters(), lr=2e-3)
batch_size = 50

for epoch in range(1, 11):
    model.train()
    total = 0.0
    perm = torch.randperm(len(train_x))
    for i in range(0, len(perm), batch_size):
        ids = perm[i : i + batch_size]
        optimizer.zero_grad()
        loss = criterion(model(train_x[ids]), train_y[ids])
        loss.backward()
        torch.nn.utils.clip_grad_norm_(model.parameters(), 1.0)
        optimizer.step()
        total += loss.item() * len(ids)
    model.eval()
    with torch.no_grad():
        val_acc = (model(val_x).argmax(1) == val_y).float().mean().item()
    print(f"| epoch {epoch:2d} | train loss {total / len(train_x):.3f} | val acc {val_acc:.3f} |")
