import torch
from torch import nn
from torch.utils.data import DataLoader, TensorDataset

torch.manual_seed(0)
# A walk over 24 tokens that goes on by 1, 2 or 3 from each of them: the next token is easier than the one after it.
steps = torch.randint(1, 4, (4000,))
ids = steps.cumsum(0) % 24
chunks = ids[: len(ids) // 20 * 20].view(-1, 20)
data = TensorDataset(chunks[:, :-1], chunks[:, 1:])


class Model(nn.Module):
    def __init__(self):
        super().__init__()
        self.embedding = nn.Embedding(24, 32)
        self.rnn = nn.GRU(32, 48, batch_first=True)
        self.head = nn.Linear(48, 24)

    def forward(self, x):
        out, _ = self.rnn(self.embedding(x))
        return self.head(out)


model = Model()
optimizer = torch.optim.Adam(model.parameters(), lr=5e-3)
loss_fn = nn.CrossEntropyLoss()
for _epoch in range(12):
    for x, y in DataLoader(data, 16, shuffle=True):
        logits = model(x)
        loss = loss_fn(logits[:, :-1].reshape(-1, 24), y[:, 1:].reshape(-1))
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
