"""Which of the earlier marks has the colour that is asked for? A small transformer with its own attention."""

import torch
from torch import nn

torch.manual_seed(0)
COLOURS, MARKS, PLACES = 8, 12, 14


class Attention(nn.Module):
    def __init__(self, width: int, heads: int) -> None:
        super().__init__()
        self.heads, self.scale = heads, (width // heads) ** 0.5
        self.query, self.key, self.value = (nn.Linear(width, width) for _ in range(3))
        self.out = nn.Linear(width, width)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        q, k, v = (m(x).unflatten(2, (self.heads, -1)).transpose(1, 2) for m in (self.query, self.key, self.value))
        q = q * self.scale
        weights = torch.softmax(q @ k.transpose(-2, -1), dim=-1)
        return self.out((weights @ v).transpose(1, 2).flatten(2))


class Reader(nn.Module):
    def __init__(self, width: int = 64) -> None:
        super().__init__()
        self.marks, self.places = nn.Embedding(COLOURS * MARKS, width), nn.Embedding(PLACES, width)
        self.norms = nn.ModuleList(nn.LayerNorm(width) for _ in range(2))
        self.layers = nn.ModuleList(Attention(width, 2) for _ in range(2))
        self.head = nn.Linear(width, MARKS)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        h = self.marks(x) + self.places(torch.arange(x.shape[1]))
        for norm, layer in zip(self.norms, self.layers):
            h = h + layer(norm(h))
        return self.head(h[:, -1])


def examples(count: int) -> tuple[torch.Tensor, torch.Tensor]:
    colours = torch.stack([torch.randperm(COLOURS) for _ in range(count)])
    marks = torch.randint(MARKS, (count, COLOURS))
    place = torch.randint(COLOURS, (count, 1))
    asked = colours.gather(1, place) * MARKS
    return torch.cat([colours * MARKS + marks, asked], 1), marks.gather(1, place).squeeze(1)


inputs, targets = examples(4000)
model = Reader()
optimizer = torch.optim.Adam(model.parameters(), lr=1e-3)
for _ in range(3):
    for rows in torch.randperm(len(inputs)).split(64):
        loss = nn.functional.cross_entropy(model(inputs[rows]), targets[rows])
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
    print("loss", loss.item())
