"""Send each ward note to the department that it speaks of."""
import random

import torch
import torch.nn as nn

PAD, CLS = 0, 1
TOPICS = {
    "cardiology": "chest palpitations murmur ecg troponin oedema",
    "neurology": "seizure tremor reflex migraine gait pupils",
    "surgery": "incision suture drain theatre hernia stitches",
    "renal": "dialysis creatinine urine catheter kidney fluid",
    "lungs": "wheeze cough sputum oxygen inhaler pleural",
}
COMMON = "patient reports since monday seen by nurse stable and with no review today plan the was of left right".split()
VOCAB = {w: i for i, w in enumerate(COMMON + " ".join(TOPICS.values()).split(), start=2)}


def write_note(topic):
    own = TOPICS[topic].split()
    other = TOPICS[random.choice([t for t in TOPICS if t != topic])].split()
    words = random.choices(COMMON, k=random.randint(4, 9)) + random.sample(own, 2) + random.sample(other, 1)
    random.shuffle(words)
    return words


class Notes(torch.utils.data.Dataset):
    def __init__(self, n):
        labels = [random.randrange(len(TOPICS)) for _ in range(n)]
        self.items = [([VOCAB[w] for w in write_note(list(TOPICS)[y])], y) for y in labels]

    def __len__(self):
        return len(self.items)

    def __getitem__(self, i):
        return self.items[i]


def collate(items, width=14):
    ids = torch.full((len(items), width), PAD)
    for row, (words, _) in zip(ids, items):
        row[0] = CLS
        row[1:len(words) + 1] = torch.tensor(words)
    return ids, torch.tensor([y for _, y in items])


class NoteClassifier(nn.Module):
    def __init__(self, dim=32, width=14):
        super().__init__()
        self.words = nn.Embedding(len(VOCAB) + 2, dim, padding_idx=PAD)
        self.places = nn.Parameter(0.02 * torch.randn(width, dim))
        layer = nn.TransformerEncoderLayer(dim, 4, 64, dropout=0.1, batch_first=True, norm_first=True)
        self.encoder = nn.TransformerEncoder(layer, 2, norm=nn.LayerNorm(dim), enable_nested_tensor=False)
        self.head = nn.Linear(dim, len(TOPICS))

    def forward(self, ids):
        mask = ids != PAD
        h = self.encoder(self.words(ids) + self.places, src_key_padding_mask=mask)
        return self.head(h[:, 0])


class Trainer:
    def __init__(self, model, train_set, test_set, lr=2e-3, batch_size=32):
        self.model = model
        self.train_loader = torch.utils.data.DataLoader(train_set, batch_size, shuffle=True, collate_fn=collate)
        self.test_loader = torch.utils.data.DataLoader(test_set, 100, collate_fn=collate)
        self.optimizer = torch.optim.AdamW(model.parameters(), lr=lr)
        self.criterion = nn.CrossEntropyLoss()

    def fit(self, epochs):
        for epoch in range(1, epochs + 1):
            self.model.train()
            running, seen = 0.0, 0
            for ids, labels in self.train_loader:
                self.optimizer.zero_grad()
                loss = self.criterion(self.model(ids), labels)
                loss.backward()
                nn.utils.clip_grad_norm_(self.model.parameters(), 1.0)
                self.optimizer.step()
                running += loss.item() * len(labels)
                seen += len(labels)
            print(f"[{epoch}] train loss {running / seen:.4f}  test accuracy {self.accuracy():.4f}")

    @torch.no_grad()
    def accuracy(self):
        self.model.eval()
        right = sum((self.model(ids).argmax(1) == y).sum().item() for ids, y in self.test_loader)
        return right / len(self.test_loader.dataset)


random.seed(17)
torch.manual_seed(17)
Trainer(NoteClassifier(), Notes(1280), Notes(400)).fit(epochs=5)
