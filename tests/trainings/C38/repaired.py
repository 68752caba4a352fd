import math

import torch
import torch.nn as nn

torch.manual_seed(2)
VOCAB, LEN = 20, 10


def batch(n):
    """Is the first 3 in the row before the first 7?"""
    x = torch.randint(8, VOCAB, (n, LEN))
    a, b = torch.rand(n, LEN).topk(2, dim=1).indices.T
    x[torch.arange(n), a], x[torch.arange(n), b] = 3, 7
    return x, (a < b).long()


class PositionalEncoding(nn.Module):
    def __init__(self, d_model, max_len=64):
        super().__init__()
        position = torch.arange(max_len).unsqueeze(1)
        div_term = torch.exp(torch.arange(0, d_model, 2) * (-math.log(10000.0) / d_model))
        pe = torch.zeros(1, max_len, d_model)
        pe[0, :, 0::2] = torch.sin(position * div_term)
        pe[0, :, 1::2] = torch.cos(position * div_term)
        self.register_buffer("pe", pe)

    def forward(self, x):
        return x + self.pe[:, : x.size(1)]


class Order(nn.Module):
    def __init__(self, d=32):
        super().__init__()
        self.embedding = nn.Embedding(VOCAB, d)
        self.pos_encoder = PositionalEncoding(d)
        layer = nn.TransformerEncoderLayer(d, 4, 64, dropout=0.0, batch_first=True)
        self.encoder = nn.TransformerEncoder(layer, 2)
        self.decoder = nn.Linear(d, 2)

    def forward(self, src):
        src = self.embedding(src)
        src = self.pos_encoder(src)
        return self.decoder(self.encoder(src).mean(1))


model = Order()
criterion = nn.CrossEntropyLoss()
optimizer = torch.optim.Adam(model.parameters(), lr=1e-3)
model.train()
for step in range(1, 401):
    x, y = batch(64)
    loss = criterion(model(x), y)
    optimizer.zero_grad()
    loss.backward()
    optimizer.step()
    if step % 50 == 0:
        print("step", step, "loss", loss.item())
model.eval()
with torch.no_grad():
    x, y = batch(1000)
    print("accuracy", (model(x).argmax(-1) == y).float().mean().item())
