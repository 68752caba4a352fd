"""Kinship as translations: head + relation is near tail (TransE), trained on a hand-made family of several clans."""
import random
from dataclasses import dataclass, field

import torch
from torch import Tensor, nn


@dataclass
class Facts:
    people: int = 0
    triples: list = field(default_factory=list)
    RELATIONS = ("mother of", "child of", "elder sibling of", "younger sibling of", "spouse of", "grandmother of")

    def add(self, h, r, t):
        self.triples.append((h, self.RELATIONS.index(r), t))

    def person(self):
        self.people += 1
        return self.people - 1

    def clan(self):
        root = self.person()
        generation = [root]
        parent = {}
        for _ in range(3):
            born = []
            for mother in generation:
                before = None
                spouse = self.person()
                self.add(mother, "spouse of", spouse)
                for _ in range(random.randint(1, 3)):
                    child = self.person()
                    parent[child] = mother
                    self.add(mother, "mother of", child)
                    self.add(child, "child of", mother)
                    if mother in parent:
                        self.add(parent[mother], "grandmother of", child)
                    if before is not None:
                        self.add(before, "elder sibling of", child)
                        self.add(child, "younger sibling of", before)
                    before = child
                    born.append(child)
            generation = born
        return self


class Translations(nn.Module):
    def __init__(self, people: int, relations: int, dim: int):
        super().__init__()
        self.person = nn.Embedding(people, dim)
        self.relation = nn.Embedding(relations, dim)
        bound = 6 / dim**0.5
        for table in (self.person, self.relation):
            nn.init.uniform_(table.weight, -bound, bound)
        self.onto_sphere()

    @torch.no_grad()
    def onto_sphere(self) -> None:
        """People live on the unit sphere; relations are free."""
        self.person.weight.div_(self.person.weight.norm(dim=1, keepdim=True))

    def forward(self, h: Tensor, r: Tensor, t: Tensor) -> Tensor:
        return (self.person(h) + self.relation(r) - self.person(t)).norm(p=2, dim=-1)


def corrupt(triples: Tensor, people: int) -> Tensor:
    wrong = triples.clone()
    side = torch.randint(2, (len(triples),)) * 2
    wrong[torch.arange(len(triples)), side] = torch.randint(people, (len(triples),))
    return wrong


@torch.no_grad()
def ranks(model: Translations, triples: Tensor, known: set, people: int) -> Tensor:
    """Filtered rank of the true tail."""
    h, r, t = triples.unbind(1)
    distance = model(h[:, None], r[:, None], torch.arange(people)[None])
    for row, (a, b, c) in enumerate(triples.tolist()):
        others = [x for x in known.get((a, b), ()) if x != c]
        distance[row, others] = torch.inf
    return (distance < distance.gather(1, t[:, None])).sum(1) + 1


def main(epochs: int = 60, margin: float = 0.5) -> None:
    random.seed(29)
    torch.manual_seed(29)
    facts = Facts()
    for _ in range(12):
        facts.clan()
    triples = torch.tensor(random.sample(facts.triples, len(facts.triples)))
    known: dict = {}
    for h, r, t in triples.tolist():
        known.setdefault((h, r), set()).add(t)
    # The inverse of a test fact may be in the training part: which relations are each other's inverses is to be learned.
    # Spouses marry in: they have one fact each, which must stay in the training part
    eligible = triples[:, 1] != facts.RELATIONS.index("spouse of")
    test = triples[eligible][:150]
    train = torch.cat([triples[eligible][150:], triples[~eligible]])
    model = Translations(facts.people, len(facts.RELATIONS), dim=32)
    optimizer = torch.optim.Adam(model.parameters(), lr=1e-2)
    print(f"{facts.people} people, {len(train)} facts for training")
    for epoch in range(1, epochs + 1):
        total, quiet = 0.0, 0
        for batch in train[torch.randperm(len(train))].split(100):
            gap = margin + model(*batch.unbind(1)) - model(*corrupt(batch, facts.people).unbind(1))
            loss = gap.clamp(min=0).mean()
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
            model.onto_sphere()
            total += loss.item()
            quiet += (gap <= 0).sum().item()
        if epoch % 10 == 0:
            place = ranks(model, test, known, facts.people).float()
            print(f"epoch {epoch} loss {total:.3f} satisfied {quiet / len(train):.2f} MRR {(1 / place).mean():.3f} hits@10 {(place <= 10).float().mean():.3f}")


main()
