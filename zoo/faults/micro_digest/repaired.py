import torch
import torch.nn as nn

TAGS, WORDS = 5, 60


def make_language():
    """Each word has a usual tag; a marker word before it moves the tag by one."""
    return torch.randint(0, TAGS, (WORDS,))


def sentences(n, tag_of, length=9):
    words = torch.randint(3, WORDS, (n, length))
    markers = torch.rand(n, length) < 0.25
    words[markers] = torch.randint(0, 3, (int(markers.sum()),))
    tags = tag_of[words]
    after = torch.zeros_like(markers)
    after[:, 1:] = markers[:, :-1]
    return words, torch.where(after, (tags + 1) % TAGS, tags)


class Tagger(nn.Module):
    def __init__(self):
        super().__init__()
        self.embed = nn.Embedding(WORDS, 32)
        self.gru = nn.GRU(32, 32, batch_first=True, bidirectional=True)
        self.proj = nn.Linear(64, TAGS)

    def forward(self, words):
        return self.proj(self.gru(self.embed(words))[0])


def main():
    torch.manual_seed(10)
    tag_of = make_language()
    words, tags = sentences(1600, tag_of)
    val_words, val_tags = sentences(300, tag_of)
    model = Tagger()
    opt = torch.optim.SGD(model.parameters(), lr=1.0, momentum=0.9)
    loss_fn = nn.CrossEntropyLoss()
    accum_steps, micro = 8, 10  # 80 sentences do not fit into memory at once

    for epoch in range(6):
        order = torch.randperm(len(words))
        shown = 0.0
        for i, idx in enumerate(order.split(micro)):
            loss = loss_fn(model(words[idx]).flatten(0, 1), tags[idx].flatten())
            (loss / accum_steps).backward()
            shown += loss.item()
            if (i + 1) % accum_steps == 0:
                opt.step()
                opt.zero_grad()
        with torch.no_grad():
            acc = (model(val_words).argmax(-1) == val_tags).float().mean().item()
        print(f"epoch {epoch} loss {shown / (i + 1):.4f} tag acc {acc:.4f}")


main()
