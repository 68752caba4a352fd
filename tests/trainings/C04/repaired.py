import torch
from torch import nn

torch.manual_seed(0)
text = "the quick brown fox jumps over the lazy dog and runs away from the big bad wolf " * 40
chars = sorted(set(text))
ids = torch.tensor([chars.index(c) for c in text])


class Model(nn.Module):
    def __init__(self):
        super().__init__()
        self.tokens = nn.Embedding(len(chars), 32)
        self.places = nn.Embedding(24, 32)
        layer = nn.TransformerEncoderLayer(32, 4, 64, batch_first=True, dropout=0.1)
        self.layers = nn.TransformerEncoder(layer, 1)
        self.head = nn.Linear(32, len(chars))

    def forward(self, x):
        z = self.tokens(x) + self.places(torch.arange(x.shape[1]))
        mask = nn.Transformer.generate_square_subsequent_mask(x.shape[1])
        z = self.layers(z, mask=mask)
        return self.head(z)


model = Model()
optimizer = torch.optim.AdamW(model.parameters(), lr=3e-3)
for _step in range(120):
    starts = torch.randint(0, len(ids) - 25, (16,))
    batch = torch.stack([ids[s : s + 25] for s in starts])
    x, y = batch[:, :-1], batch[:, 1:]
    loss = nn.functional.cross_entropy(model(x).flatten(0, 1), y.flatten())
    optimizer.zero_grad()
    loss.backward()
    optimizer.step()
