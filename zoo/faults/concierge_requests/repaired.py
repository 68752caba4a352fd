"""Intent of the requests that guests leave at the desk of a hotel.

Our fork of the text classification example, with the Trainer taken out.
"""
import math
import os
import random
from dataclasses import dataclass

import numpy as np
import torch
import torch.nn as nn
from torch.utils.data import DataLoader, Dataset


@dataclass
class TrainingArguments:
    learning_rate: float = 1e-3
    weight_decay: float = 0.01
    warmup_ratio: float = 0.06
    num_train_epochs: int = 4
    per_device_train_batch_size: int = 32
    per_device_eval_batch_size: int = 128
    max_grad_norm: float = 1.0
    seed: int = int(os.environ.get("SEED", "0"))


@dataclass
class ModelConfig:
    hidden_size: int = 64
    num_layers: int = 2
    num_heads: int = 4
    max_length: int = 24
    dropout: float = 0.1


WANTS = {
    "towels": ["two clean towels", "a fresh towel", "more towels in the bath"],
    "taxi": ["a taxi to the station", "a car for the airport", "a cab at noon"],
    "wakeup": ["a call at six", "a wake up call", "somebody to wake me early"],
    "food": ["a sandwich in the room", "breakfast in bed", "the menu of the kitchen"],
    "repair": ["the lamp mended", "a man for the heating", "the shower looked at"],
    "bill": ["the bill ready", "my invoice", "to pay the room early"],
}
LABELS = sorted(WANTS)
POLITE = ["please", "kindly", "if you can", "thank you", "good evening", "hello"]


def write_request(rng):
    label = rng.choice(LABELS)
    wish = "i need " + rng.choice(WANTS[label])
    if rng.random() < 0.5:
        other = rng.choice([name for name in LABELS if name != label])
        refused = "i do not need " + rng.choice(WANTS[other])
        wish = " but ".join([wish, refused] if rng.random() < 0.5 else [refused, wish])
    text = f"{rng.choice(POLITE)} {wish}"
    return text, LABELS.index(label)


class Tokenizer:
    def __init__(self, texts):
        words = sorted({w for t in texts for w in t.split()})
        self.vocab = {"[PAD]": 0, "[CLS]": 1, "[UNK]": 2}
        self.vocab.update({w: i + 3 for i, w in enumerate(words)})

    def __call__(self, text, max_length):
        ids = [1] + [self.vocab.get(w, 2) for w in text.split()]
        return ids[:max_length]


class Requests(Dataset):
    def __init__(self, rows, tokenizer, max_length):
        self.rows = [(tokenizer(t, max_length), y) for t, y in rows]

    def __len__(self):
        return len(self.rows)

    def __getitem__(self, i):
        return self.rows[i]


def collate(batch):
    longest = max(len(ids) for ids, _ in batch)
    input_ids = torch.zeros(len(batch), longest, dtype=torch.long)
    for row, (ids, _) in enumerate(batch):
        input_ids[row, : len(ids)] = torch.tensor(ids)
    return {
        "input_ids": input_ids,
        "attention_mask": input_ids != 0,
        "labels": torch.tensor([y for _, y in batch]),
    }


class SequenceClassifier(nn.Module):
    def __init__(self, config, vocab_size, num_labels):
        super().__init__()
        self.word = nn.Embedding(vocab_size, config.hidden_size, padding_idx=0)
        self.position = nn.Embedding(config.max_length, config.hidden_size)
        layer = nn.TransformerEncoderLayer(
            config.hidden_size, config.num_heads, 2 * config.hidden_size,
            dropout=config.dropout, activation="gelu", batch_first=True, norm_first=True)
        self.encoder = nn.TransformerEncoder(layer, config.num_layers, enable_nested_tensor=False)
        self.norm = nn.LayerNorm(config.hidden_size)
        self.classifier = nn.Linear(config.hidden_size, num_labels)

    def forward(self, input_ids, attention_mask, labels=None):
        places = torch.arange(input_ids.shape[1])
        h = self.word(input_ids) + self.position(places)
        h = self.encoder(h, src_key_padding_mask=~attention_mask)
        logits = self.classifier(self.norm(h[:, 0]))
        loss = None if labels is None else nn.functional.cross_entropy(logits, labels)
        return loss, logits


def main():
    args, config = TrainingArguments(), ModelConfig()
    random.seed(args.seed)
    np.random.seed(args.seed)
    torch.manual_seed(args.seed)

    rng = random.Random(args.seed)
    rows = [write_request(rng) for _ in range(1900)]
    train_rows, eval_rows = rows[:1500], rows[1500:]
    tokenizer = Tokenizer([t for t, _ in train_rows])
    train_loader = DataLoader(Requests(train_rows, tokenizer, config.max_length), shuffle=True,
                              batch_size=args.per_device_train_batch_size, collate_fn=collate)
    eval_loader = DataLoader(Requests(eval_rows, tokenizer, config.max_length),
                             batch_size=args.per_device_eval_batch_size, collate_fn=collate)

    model = SequenceClassifier(config, len(tokenizer.vocab), len(LABELS))
    no_decay = ("bias", "norm")
    groups = [
        {"params": [p for n, p in model.named_parameters() if not any(k in n for k in no_decay)],
         "weight_decay": args.weight_decay},
        {"params": [p for n, p in model.named_parameters() if any(k in n for k in no_decay)],
         "weight_decay": 0.0},
    ]
    optimizer = torch.optim.AdamW(groups, lr=args.learning_rate)
    total = args.num_train_epochs * len(train_loader)
    warmup = math.ceil(args.warmup_ratio * total)

    def linear(step):
        if step < warmup:
            return (step + 1) / warmup
        return max(0.0, (total - step) / (total - warmup))

    scheduler = torch.optim.lr_scheduler.LambdaLR(optimizer, linear)
    for epoch in range(args.num_train_epochs):
        model.train()
        running = 0.0
        for batch in train_loader:
            loss, _ = model(**batch)
            loss.backward()
            nn.utils.clip_grad_norm_(model.parameters(), args.max_grad_norm)
            optimizer.step()
            scheduler.step()
            optimizer.zero_grad()
            running += loss.item()
        model.eval()
        hits = 0
        with torch.no_grad():
            for batch in eval_loader:
                _, logits = model(batch["input_ids"], batch["attention_mask"])
                hits += (logits.argmax(-1) == batch["labels"]).sum().item()
        print(f"epoch {epoch}: train_loss {running / len(train_loader):.4f} "
              f"eval_accuracy {hits / len(eval_rows):.4f}")


if __name__ == "__main__":
    main()
