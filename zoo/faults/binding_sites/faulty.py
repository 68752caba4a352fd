# Which factor binds to a stretch of DNA? Each family has a motif with tolerated letters.
import torch
import torch.nn.functional as F
from torch import nn

torch.manual_seed(63)
LETTERS, LENGTH = "ACGT", 60
MOTIFS = ["TGASTCA", "CACGTG", "GGGCGGR", "TATAWAW", "CCAAT", "GATAAG", "TTTCCCGC", "RTGACGTA"]
CHOICES = {"S": "CG", "R": "AG", "W": "AT"} | {c: c for c in LETTERS}


def stretch(family: int) -> torch.Tensor:
    bases = torch.randint(4, (LENGTH,))
    motif = MOTIFS[family]
    at = int(torch.randint(LENGTH - len(motif), ()))
    for i, code in enumerate(motif):
        options = CHOICES[code]
        bases[at + i] = LETTERS.index(options[int(torch.randint(len(options), ()))])
    if torch.rand(()) < 0.3:  # one letter is off
        bases[at + int(torch.randint(len(motif), ()))] = torch.randint(4, ())
    return bases


def sample(n: int) -> tuple[torch.Tensor, torch.Tensor]:
    families = torch.randint(len(MOTIFS), (n,))
    return torch.stack([stretch(f) for f in families.tolist()]), families


def both_strands(model: nn.Module, bases: torch.Tensor) -> torch.Tensor:
    """The motif may be read from either side: the scores of a stretch and of its reverse complement are joined."""
    return torch.maximum(model(one_hot(bases)), model(one_hot(3 - bases.flip(1))))


def one_hot(bases: torch.Tensor) -> torch.Tensor:
    return F.one_hot(bases, 4).transpose(1, 2).float()


net = nn.Sequential(
    nn.Conv1d(4, 48, 9, padding=4), nn.ReLU(), nn.AdaptiveMaxPool1d(1), nn.Flatten(), nn.Dropout(0.2),
    nn.Linear(48, len(MOTIFS)),
)  # fmt: skip
known, known_family = sample(1800)
new, new_family = sample(500)
optimizer = torch.optim.RMSprop(net.parameters(), lr=2e-3, alpha=0.99)
smooth = 0.9
loss_fn = nn.CrossEntropyLoss(label_smoothing=smooth)

for epoch in range(1, 21):
    net.train()
    for rows in torch.randperm(len(known)).split(60):
        loss = loss_fn(both_strands(net, known[rows]), known_family[rows])
        net.zero_grad()
        loss.backward()
        optimizer.step()
    if epoch % 4 == 0:
        net.eval()
        with torch.no_grad():
            scores = both_strands(net, new)
        right = (scores.argmax(1) == new_family).float().mean()
        bits = F.cross_entropy(scores, new_family) / torch.log(torch.tensor(2.0))
        print(f"epoch {epoch} loss {loss:.3f} right {right:.3f} bits {bits:.3f}")
