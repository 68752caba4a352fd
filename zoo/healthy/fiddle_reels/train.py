"""Write down a fiddle tune from spectral frames with CTC; note lengths are unknown."""
import torch
from torch import nn
from torch.nn.utils.rnn import pack_padded_sequence, pad_packed_sequence, pad_sequence
from torch.utils.data import DataLoader, Dataset

NOTES, BANDS = 8, 16


class Reels(Dataset):
    """Each note sounds for 2-5 frames, with a short breath of bare noise between notes."""

    def __init__(self, n, spectra, seed):
        gen = torch.Generator().manual_seed(seed)

        def rand(a, b):
            return int(torch.randint(a, b, (1,), generator=gen))

        self.items = []
        for _ in range(n):
            tune = torch.randint(0, NOTES, (rand(4, 9),), generator=gen)
            frames = []
            for note in tune.tolist():
                frames += [spectra[note]] * rand(2, 6) + [torch.zeros(BANDS)] * rand(1, 3)
            clean = torch.stack(frames)
            loud = 0.7 + 0.6 * torch.rand(1, generator=gen)
            self.items.append((loud * clean + 0.35 * torch.randn(clean.shape, generator=gen), tune + 1))

    def __len__(self):
        return len(self.items)

    def __getitem__(self, i):
        return self.items[i]


class Transcriber(nn.Module):
    def __init__(self, mean, std, hidden=48):
        super().__init__()
        self.register_buffer("mean", mean)
        self.register_buffer("std", std)
        self.gru = nn.GRU(BANDS, hidden, batch_first=True, bidirectional=True)
        self.drop = nn.Dropout(0.1)
        self.out = nn.Linear(2 * hidden, NOTES + 1)

    def forward(self, frames, lengths):
        x = (frames - self.mean) / self.std
        packed = pack_padded_sequence(x, lengths, batch_first=True, enforce_sorted=False)
        h, _ = pad_packed_sequence(self.gru(packed)[0], batch_first=True)
        return self.out(self.drop(h)).log_softmax(-1)


def collate(items):
    frames, tunes = zip(*items)
    return (pad_sequence(frames, batch_first=True), torch.tensor([len(f) for f in frames]),
            torch.cat(tunes), torch.tensor([len(t) for t in tunes]))


def edit_distance(a, b):
    row = list(range(len(b) + 1))
    for i, x in enumerate(a, 1):
        prev, row[0] = row[0], i
        for j, y in enumerate(b, 1):
            prev, row[j] = row[j], min(row[j] + 1, row[j - 1] + 1, prev + (x != y))
    return row[-1]


class CTCTrainer:
    def __init__(self, model, lr, epochs, loader):
        self.model, self.epochs, self.loader = model, epochs, loader
        self.criterion = nn.CTCLoss(blank=0)
        self.optimizer = torch.optim.Adam(model.parameters(), lr=lr)
        self.scheduler = torch.optim.lr_scheduler.CosineAnnealingLR(self.optimizer, epochs * len(loader))

    def loss(self, batch):
        frames, lengths, tunes, tune_lengths = batch
        return self.criterion(self.model(frames, lengths).transpose(0, 1), tunes, lengths, tune_lengths)

    @torch.no_grad()
    def error_rate(self, loader):
        self.model.eval()
        wrong = total = 0
        for frames, lengths, tunes, tune_lengths in loader:
            best = self.model(frames, lengths).argmax(-1)
            for path, n, tune in zip(best, lengths, tunes.split(tune_lengths.tolist())):
                decoded = [k for k in torch.unique_consecutive(path[:n]).tolist() if k]
                wrong += edit_distance(decoded, tune.tolist())
                total += len(tune)
        return wrong / total

    def fit(self, val_loader):
        for epoch in range(1, self.epochs + 1):
            self.model.train()
            total = 0.0
            for batch in self.loader:
                loss = self.loss(batch)
                self.optimizer.zero_grad()
                loss.backward()
                nn.utils.clip_grad_norm_(self.model.parameters(), 5.0)
                self.optimizer.step()
                self.scheduler.step()
                total += loss.item()
            print(f"epoch {epoch:2d}  ctc {total / len(self.loader):.4f}  val error {self.error_rate(val_loader):.3f}")


def main():
    torch.manual_seed(2)
    spectra = torch.rand(NOTES, BANDS) ** 3 * 2
    train, val, test = (Reels(n, spectra, seed) for n, seed in ((1200, 1), (150, 2), (300, 3)))
    frames = torch.cat([f for f, _ in train])
    model = Transcriber(frames.mean(0), frames.std(0))
    trainer = CTCTrainer(model, 4e-3, 6, DataLoader(train, 32, shuffle=True, collate_fn=collate))
    trainer.fit(DataLoader(val, 150, collate_fn=collate))
    rate = trainer.error_rate(DataLoader(test, 150, collate_fn=collate))
    print(f"test note error rate {rate:.4f} (1.0 for writing nothing)")


if __name__ == "__main__":
    main()
