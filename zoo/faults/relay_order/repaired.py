"""Which of the two alarms came first? Small transformer over 24 events."""
import torch
from torch import nn

EVENTS = 14          # 0, 1: the two alarms; 2: [cls]; the others do not matter
LENGTH = 24
DIM, HEADS, LAYERS = 32, 4, 2
LR = 0.001
BATCH = 32
STEPS = 500


def sample(n):
    ids = torch.randint(3, EVENTS, (n, LENGTH))
    places = torch.rand(n, LENGTH).argsort(1)[:, :2]
    ids.scatter_(1, places, torch.tensor([0, 1]).expand(n, 2))
    first_is_1 = (places[:, 1] < places[:, 0]).long()
    return torch.cat([torch.full((n, 1), 2), ids], 1), first_is_1


class OrderNet(nn.Module):
    def __init__(self):
        super().__init__()
        self.event = nn.Embedding(EVENTS, DIM)
        self.place = nn.Embedding(LENGTH + 1, DIM)
        layer = nn.TransformerEncoderLayer(DIM, HEADS, dim_feedforward=64, dropout=0.0, batch_first=True)
        self.encoder = nn.TransformerEncoder(layer, LAYERS)
        self.classify = nn.Linear(DIM, 2)

    def forward(self, ids):
        h = self.event(ids) + self.place(torch.arange(ids.size(1)))
        return self.classify(self.encoder(h)[:, 0])


def make_step(net):
    optimizer = torch.optim.Adam(net.parameters(), lr=LR)
    criterion = nn.CrossEntropyLoss()

    def step():
        net.train()
        ids, answer = sample(BATCH)
        loss = criterion(net(ids), answer)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        return loss.item()

    return step


torch.manual_seed(23)
held_ids, held_answer = sample(600)
net = OrderNet()
step = make_step(net)
recent = []
for i in range(1, STEPS + 1):
    recent.append(step())
    if i % 100 == 0:
        net.eval()
        with torch.no_grad():
            accuracy = (net(held_ids).argmax(1) == held_answer).float().mean().item()
        print(f"{i} steps: loss {sum(recent) / len(recent):.4f}, accuracy {accuracy:.3f}")
        recent.clear()
