"""Fine-tune a pretrained recurrent encoder layer by layer: head first, then thaw from the top, lower layers slower."""
import copy
from dataclasses import dataclass

import torch
from torch import nn

LETTERS = 20


@dataclass
class Stage:
    thaw: tuple[str, ...]
    epochs: int


def chains(n, machines, gen, length=24):
    """Rows of symbols from Markov chains; a class is a chain."""
    which = torch.randint(len(machines), (n,), generator=gen)
    state = torch.randint(LETTERS, (n,), generator=gen)
    out = [state]
    for _ in range(length - 1):
        state = torch.multinomial(machines[which, state], 1, generator=gen).squeeze(1)
        out.append(state)
    return torch.stack(out, 1), which


def new_machines(k, gen):
    logits = 1.3 * torch.randn(k, LETTERS, LETTERS, generator=gen)
    return logits.softmax(-1)


class Encoder(nn.Module):
    def __init__(self, d=40):
        super().__init__()
        self.emb = nn.Embedding(LETTERS, d)
        self.low = nn.GRU(d, d, batch_first=True)
        self.high = nn.GRU(d, d, batch_first=True)

    def forward(self, ids):
        return self.high(self.low(self.emb(ids))[0])[0]


def pretrain(gen, machines, steps=200):
    """Predict the next symbol of unlabelled rows of the same world."""
    body = Encoder()
    guess = nn.Linear(40, LETTERS)
    opt = torch.optim.Adam([*body.parameters(), *guess.parameters()], lr=5e-3)
    for step in range(steps):
        ids, _ = chains(64, machines, gen)
        loss = nn.functional.cross_entropy(guess(body(ids[:, :-1])).transpose(1, 2), ids[:, 1:])
        opt.zero_grad()
        loss.backward()
        opt.step()
    print(f"next symbol: loss {loss.item():.3f}")
    return body


class Model(nn.Module):
    def __init__(self, body, classes):
        super().__init__()
        self.body = copy.deepcopy(body)
        self.drop = nn.Dropout(0.2)
        self.head = nn.Linear(80, classes)

    def forward(self, ids):
        h = self.body(ids)
        return self.head(self.drop(torch.cat([h.mean(1), h[:, -1]], 1)))


def main():
    gen = torch.Generator().manual_seed(6)
    torch.manual_seed(6)
    machines = new_machines(6, gen)
    model = Model(pretrain(gen, machines), classes=6)
    x, y = chains(240, machines, gen)
    x_test, y_test = chains(600, machines, gen)

    parts = {"head": model.head, "high": model.body.high, "low": model.body.low, "emb": model.body.emb}
    rates = {"head": 4e-3, "high": 1e-3, "low": 2.5e-4, "emb": 6e-5}
    for name, part in parts.items():
        part.requires_grad_(name == "head")
    optimizer = torch.optim.AdamW([{"params": parts[n].parameters(), "lr": rates[n]} for n in parts], weight_decay=0.01)

    plan = [Stage(("head",), 8), Stage(("high",), 6), Stage(("low", "emb"), 10)]
    for stage in plan:
        for name in stage.thaw:
            parts[name].requires_grad_(True)
        for _ in range(stage.epochs):
            model.train()
            for rows in torch.randperm(len(x)).split(24):
                loss = nn.functional.cross_entropy(model(x[rows]), y[rows])
                optimizer.zero_grad(set_to_none=True)
                loss.backward()
                optimizer.step()
        model.eval()
        with torch.no_grad():
            right = (model(x_test).argmax(1) == y_test).float().mean().item()
        print(f"thawed {', '.join(stage.thaw)}: loss {loss.item():.3f} test {right:.3f}")


if __name__ == "__main__":
    main()
