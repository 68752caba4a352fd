"""Letters to the editor, sorted into rubrics. A small fit loop with hooks; modules say how they are optimised."""
import torch
import torch.nn.functional as F
from torch import nn
from torch.utils.data import DataLoader, TensorDataset


def write_letters(n, rubrics=6, words=600, length=50, seed=0):
    g = torch.Generator().manual_seed(seed)
    taste = torch.randn(rubrics, words, generator=torch.Generator().manual_seed(77))
    common = torch.randn(words, generator=torch.Generator().manual_seed(78))
    y = torch.randint(rubrics, (n,), generator=g)
    p = torch.softmax(common + 0.45 * taste[y], dim=1)
    return torch.multinomial(p, length, replacement=True, generator=g), y


class FitModule(nn.Module):
    def configure(self, total_steps):
        raise NotImplementedError

    def on_fit_start(self): ...

    def on_batch_end(self): ...

    def on_epoch_end(self, epoch): ...


class Rubrics(FitModule):
    def __init__(self, words=600, dim=32, rubrics=6):
        super().__init__()
        self.bag = nn.EmbeddingBag(words, dim, mode="mean")
        nn.init.normal_(self.bag.weight, std=0.1)
        self.mlp = nn.Sequential(nn.Linear(dim, 32), nn.ReLU(), nn.Dropout(0.2), nn.Linear(32, rubrics))
        self.seen = []

    def configure(self, total_steps):
        self.optimizer = torch.optim.AdamW(self.parameters(), lr=1e-3, weight_decay=0.01)
        self.scheduler = torch.optim.lr_scheduler.OneCycleLR(self.optimizer, max_lr=0.006, total_steps=total_steps)

    def forward(self, letters):
        return self.mlp(self.bag(letters))

    def training_step(self, batch):
        letters, rubric = batch
        loss = F.cross_entropy(self(letters), rubric)
        self.seen.append(loss.item())
        return loss

    def on_batch_end(self):
        pass

    def on_epoch_end(self, epoch):
        self.scheduler.step()
        print(f"epoch {epoch}: train loss {sum(self.seen) / len(self.seen):.4f}")
        self.seen.clear()


def fit(module, loader, epochs):
    module.configure(total_steps=epochs * len(loader))
    module.on_fit_start()
    for epoch in range(epochs):
        module.train()
        for batch in loader:
            module.optimizer.zero_grad()
            module.training_step(batch).backward()
            module.optimizer.step()
            module.on_batch_end()
        module.on_epoch_end(epoch)


@torch.no_grad()
def test(module, letters, rubric):
    module.eval()
    logits = module(letters)
    return F.cross_entropy(logits, rubric).item(), (logits.argmax(1) == rubric).float().mean().item()


torch.manual_seed(9)
train = TensorDataset(*write_letters(4000, seed=1))
model = Rubrics()
fit(model, DataLoader(train, batch_size=100, shuffle=True), epochs=8)
loss, acc = test(model, *write_letters(500, seed=2))
print(f"test loss {loss:.4f} test acc {acc:.4f}")
