"""Distil a chord-sequence model (the master) into a small one (the copyist)."""
import torch
import torch.nn as nn
import torch.nn.functional as F

torch.manual_seed(43)

N_CHORDS, CTX = 18, 3


def write_tunes(n, length, rules):
    """Second-order chord walk: the last two chords decide what may follow."""
    tunes = torch.randint(0, N_CHORDS, (n, length))
    for t in range(2, length):
        tunes[:, t] = torch.multinomial(rules[tunes[:, t - 2] % 6, tunes[:, t - 1]], 1).squeeze(1)
    return tunes.unfold(1, CTX + 1, 1).reshape(-1, CTX + 1)


class ChordModel(nn.Module):
    def __init__(self, dim, hidden):
        super().__init__()
        self.emb = nn.Embedding(N_CHORDS, dim)
        self.body = nn.Sequential(nn.Linear(CTX * dim, hidden), nn.ReLU(), nn.Linear(hidden, N_CHORDS))

    def forward(self, ctx):
        return self.body(self.emb(ctx).flatten(1))


def train_master(model, rows, steps=1000):
    optimizer = torch.optim.Adam(model.parameters(), lr=2e-3)
    model.train()
    for step in range(steps):
        batch = rows[torch.randint(len(rows), (128,))]
        loss = F.cross_entropy(model(batch[:, :CTX]), batch[:, CTX])
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
    model.eval()
    return model


def make_distiller(master, copyist, temperature=2.0, alpha=0.7):
    def distillation_loss(batch):
        ctx, nxt = batch[:, :CTX], batch[:, CTX]
        with torch.no_grad():
            soft = F.softmax(master(ctx) / temperature, dim=1)
        logits = copyist(ctx)
        kd = F.kl_div(F.log_softmax(logits / temperature, dim=1), soft, reduction="batchmean")
        return alpha * temperature ** 2 * kd + (1 - alpha) * F.cross_entropy(logits, nxt)
    return distillation_loss


def distil(master, copyist, rows, accumulation_steps=16, micro=8, epochs=12, lr=0.2):
    optimizer = torch.optim.SGD(copyist.parameters(), lr=lr, momentum=0.9)
    compute_loss = make_distiller(master, copyist)
    copyist.train()
    for epoch in range(epochs):
        micros = rows[torch.randperm(len(rows))].split(micro)
        micros = micros[:len(micros) // accumulation_steps * accumulation_steps]
        logged = 0.0
        optimizer.zero_grad()
        for i, batch in enumerate(micros):
            loss = compute_loss(batch)
            loss.backward()
            logged += loss.item()
            if (i + 1) % accumulation_steps == 0:
                optimizer.step()
                optimizer.zero_grad()
        if epoch % 3 == 2:
            print(f"epoch {epoch + 1}  loss per step {logged / (len(micros) // accumulation_steps):.3f}")


def evaluate(model, rows):
    model.eval()
    with torch.no_grad():
        logits = model(rows[:, :CTX])
    return logits, (logits.argmax(1) == rows[:, CTX]).float().mean().item()


rules = torch.distributions.Dirichlet(torch.full((N_CHORDS,), 0.12)).sample((6, N_CHORDS)) + 1e-6
rows = write_tunes(400, 24, rules)
test_rows = write_tunes(150, 24, rules)

master = train_master(ChordModel(24, 192), rows)
copyist = ChordModel(10, 48)
distil(master, copyist, rows)

master_logits, master_acc = evaluate(master, test_rows)
copy_logits, copy_acc = evaluate(copyist, test_rows)
agree = (master_logits.argmax(1) == copy_logits.argmax(1)).float().mean().item()
print(f"master next-chord accuracy {master_acc:.4f}, copyist {copy_acc:.4f}")
print(f"copyist agrees with master {agree:.4f}")
