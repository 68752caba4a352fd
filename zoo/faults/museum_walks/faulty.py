"""A small language model of visitors' routes through a museum."""
import random

import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torch.utils.data import DataLoader, Dataset

DOORS = {
    "hall": "shop cafe egypt greece stairs",
    "shop": "hall cafe",
    "cafe": "hall shop garden",
    "garden": "cafe greece",
    "egypt": "hall greece coins",
    "greece": "hall egypt garden rome",
    "rome": "greece coins mosaics",
    "coins": "egypt rome",
    "mosaics": "rome stairs",
    "stairs": "hall mosaics prints maps",
    "prints": "stairs maps attic",
    "maps": "stairs prints",
    "attic": "prints",
}
ROOMS = list(DOORS)
INDEX = {room: i for i, room in enumerate(ROOMS)}


def stroll(n_rooms: int) -> list[int]:
    route = [random.choice(ROOMS)]
    while len(route) < n_rooms:
        choices = DOORS[route[-1]].split()
        onward = [r for r in choices if len(route) < 2 or r != route[-2]]
        route.append(random.choice(onward or choices))
    return [INDEX[r] for r in route]


class Strolls(Dataset):
    def __init__(self, n: int, n_rooms: int = 24):
        self.data = torch.tensor([stroll(n_rooms) for _ in range(n)])

    def __len__(self) -> int:
        return len(self.data)

    def __getitem__(self, i: int) -> dict[str, Tensor]:
        ids = self.data[i]
        return {"input_ids": ids[:-1], "labels": ids[1:]}


class RouteModel(nn.Module):
    def __init__(self, dim: int = 48):
        super().__init__()
        self.embed = nn.Embedding(len(ROOMS), dim)
        self.rnn = nn.LSTM(dim, dim, batch_first=True)
        self.lm_head = nn.Linear(dim, len(ROOMS))

    def forward(self, input_ids: Tensor, labels: Tensor | None = None) -> tuple[Tensor | None, Tensor]:
        hidden, _ = self.rnn(self.embed(input_ids))
        logits = self.lm_head(hidden)
        loss = None
        if labels is not None:
            # position t predicts t + 1
            shift_logits = logits[:, :-1].reshape(-1, len(ROOMS))
            shift_labels = labels[:, 1:].reshape(-1)
            loss = F.cross_entropy(shift_logits, shift_labels)
        return loss, logits

    @torch.no_grad()
    def generate(self, prompt: Tensor, steps: int) -> Tensor:
        ids = prompt
        for _ in range(steps):
            probs = self(ids)[1][:, -1].softmax(-1)
            ids = torch.cat([ids, torch.multinomial(probs, 1)], dim=1)
        return ids


class Trainer:
    def __init__(self, model: RouteModel, data: Dataset, lr: float, epochs: int):
        self.model, self.epochs = model, epochs
        self.loader = DataLoader(data, batch_size=32, shuffle=True)
        self.optimizer = torch.optim.AdamW(model.parameters(), lr=lr)

    def fit(self) -> None:
        for epoch in range(self.epochs):
            losses = []
            for batch in self.loader:
                loss, _ = self.model(**batch)
                self.optimizer.zero_grad()
                loss.backward()
                self.optimizer.step()
                losses.append(loss.item())
            print(f"epoch {epoch}: loss {sum(losses) / len(losses):.3f}, through doors {self.through_doors():.3f}")

    def through_doors(self) -> float:
        """Share of the generated steps that lead through a door."""
        self.model.eval()
        routes = self.model.generate(torch.arange(len(ROOMS)).repeat(10)[:, None], 20).tolist()
        self.model.train()
        pairs = [(ROOMS[a], ROOMS[b]) for route in routes for a, b in zip(route, route[1:])]
        return sum(b in DOORS[a].split() for a, b in pairs) / len(pairs)


if __name__ == "__main__":
    random.seed(5)
    torch.manual_seed(5)
    Trainer(RouteModel(), Strolls(960), lr=5e-3, epochs=6).fit()
