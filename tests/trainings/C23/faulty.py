import torch
from torch import nn
from torch.nn.utils.rnn import pack_padded_sequence, pad_packed_sequence, pad_sequence
from torch.utils.data import DataLoader

torch.manual_seed(0)
lengths = torch.randint(3, 20, (768,)).tolist()
sequences = [torch.randn(n, 4).cumsum(0) for n in lengths]
data = [(s, int(s[-1, 0] > s[-1, 1])) for s in sequences]


def collate(batch):
    xs, ys = zip(*batch)
    return pad_sequence(xs, batch_first=True), torch.tensor([len(x) for x in xs]), torch.tensor(ys)


class Reader(nn.Module):
    def __init__(self):
        super().__init__()
        self.rnn = nn.LSTM(4, 32, batch_first=True)
        self.head = nn.Linear(32, 2)

    def forward(self, x, n):
        packed = pack_padded_sequence(x, n, batch_first=True, enforce_sorted=False)
        out, n = pad_packed_sequence(self.rnn(packed)[0], batch_first=True)
        last = out[:, -1]
        return self.head(last)


model = Reader()
optimizer = torch.optim.Adam(model.parameters(), lr=5e-3)
for _epoch in range(8):
    for x, n, y in DataLoader(data, 32, shuffle=True, collate_fn=collate):
        loss = nn.functional.cross_entropy(model(x, n), y)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
