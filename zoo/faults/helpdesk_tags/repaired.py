import random

import torch
from torch import nn

random.seed(5)
torch.manual_seed(5)

TOPICS = {
    "network": "wifi vpn router cable dns signal offline latency proxy".split(),
    "account": "password login locked username reset expired access mfa".split(),
    "printer": "paper toner jam tray scanner queue duplex smudge".split(),
    "mail": "inbox outlook spam attachment calendar sender bounce mailbox".split(),
    "hardware": "laptop screen battery keyboard fan dock charger mouse".split(),
    "software": "install update licence crash version excel plugin freeze".split(),
    "storage": "disk folder quota backup share restore drive deleted".split(),
}
FILLER = "please the my is not since today we cannot help again after with on it and urgent hello team".split()
TAGS = list(TOPICS)
RATE = [0.35, 0.30, 0.12, 0.25, 0.20, 0.35, 0.15]
WORDS = ["<pad>"] + FILLER + sorted(w for ws in TOPICS.values() for w in ws)
INDEX = {w: i for i, w in enumerate(WORDS)}


def ticket():
    tags = [float(random.random() < r) for r in RATE]
    text = random.choices(FILLER, k=random.randint(6, 12))
    for tag, on in zip(TAGS, tags):
        text += random.choices(TOPICS[tag], k=random.randint(1, 3) if on else random.random() < 0.15)
    random.shuffle(text)
    return [INDEX[w] for w in text], tags


def collate(rows):
    width = max(len(ids) for ids, _ in rows)
    ids = torch.tensor([ids + [0] * (width - len(ids)) for ids, _ in rows])
    return ids, torch.tensor([tags for _, tags in rows])


train = torch.utils.data.DataLoader([ticket() for _ in range(2000)], batch_size=40, shuffle=True, collate_fn=collate)
valid = torch.utils.data.DataLoader([ticket() for _ in range(500)], batch_size=250, collate_fn=collate)

embed = nn.EmbeddingBag(len(WORDS), 32, mode="sum", padding_idx=0)
model = nn.Sequential(embed, nn.ReLU(), nn.Dropout(0.1), nn.Linear(32, len(TAGS)))
criterion = nn.BCEWithLogitsLoss()
optimizer = torch.optim.Adam(model.parameters(), lr=1e-2)

for epoch in range(1, 15):
    model.train()
    losses = []
    for ids, tags in train:
        optimizer.zero_grad()
        loss = criterion(model(ids), tags)
        loss.backward()
        optimizer.step()
        losses.append(loss.item())
    model.eval()
    tp = fp = fn = 0
    with torch.no_grad():
        for ids, tags in valid:
            guess = torch.sigmoid(model(ids)) > 0.5
            tp += (guess & (tags == 1)).sum().item()
            fp += (guess & (tags == 0)).sum().item()
            fn += (~guess & (tags == 1)).sum().item()
    print(f"epoch {epoch} loss {sum(losses) / len(losses):.4f} micro-F1 {2 * tp / (2 * tp + fp + fn):.4f}")
