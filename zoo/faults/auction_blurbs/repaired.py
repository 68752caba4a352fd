# Which sale room does a lot belong to?  Bag of words from the catalogue blurb,
# with a handful of functional layers: each layer is a (forward, params) pair.
import math
import random

import torch
import torch.nn.functional as F

torch.manual_seed(7)
random.seed(7)

ROOMS = {
    "silver": "salver hallmark sterling teapot engraved tankard candlestick spoon chased gadrooned".split(),
    "books": "folio vellum calf binding edition engraved spine plates quarto gilt".split(),
    "clocks": "bracket movement dial mahogany chime pendulum brass longcase striking enamel".split(),
    "ceramics": "glaze porcelain saucer transfer gilt tureen enamel teapot delft bowl".split(),
    "furniture": "mahogany walnut drawer chest veneer cabriole brass oak bracket gilt".split(),
}
PLAIN = ("a fine and rare of the with in good condition some wear old english century lot two pair "
         "small large early late restored possibly attributed provenance private collection").split()
VOCAB = sorted(set(PLAIN) | {w for ws in ROOMS.values() for w in ws})
INDEX = {w: i for i, w in enumerate(VOCAB)}
NAMES = list(ROOMS)


def write_blurb(room):
    words = random.choices(PLAIN, k=random.randint(8, 14))
    words += random.choices(ROOMS[NAMES[room]], k=random.randint(2, 5))
    words += random.choices(ROOMS[random.choice(NAMES)], k=1)
    return words


def encode(blurbs):
    x = torch.zeros(len(blurbs), len(VOCAB))
    for row, words in enumerate(blurbs):
        for w in words:
            x[row, INDEX[w]] += 1
    return x


def linear(n_in, n_out):
    W = (torch.randn(n_in, n_out) * math.sqrt(2 / n_in)).requires_grad_()
    b = torch.zeros(n_out, requires_grad=True)

    def forward(x, is_train):
        return x @ W + b
    return forward, [W, b]


def relu():
    def forward(x, is_train):
        return F.relu(x)
    return forward, []


def dropout(rate):
    def forward(x, is_train):
        if not is_train:
            return x
        mask = (torch.rand_like(x) >= rate).float() / (1 - rate)
        return x * mask
    return forward, []


def chain(*layers):
    def forward(x, is_train):
        for layer, _ in layers:
            x = layer(x, is_train)
        return x
    return forward, [p for _, params in layers for p in params]


labels = [random.randrange(len(NAMES)) for _ in range(2400)]
x = encode([write_blurb(r) for r in labels])
y = torch.tensor(labels)
x_train, y_train, x_test, y_test = x[:1800], y[:1800], x[1800:], y[1800:]
mean, std = x_train.mean(0), x_train.std(0) + 1e-6
x_train, x_test = (x_train - mean) / std, (x_test - mean) / std

model, params = chain(
    linear(len(VOCAB), 48), relu(), dropout(0.5),
    linear(48, 24), relu(), dropout(0.5),
    linear(24, len(NAMES)),
)
optimizer = torch.optim.Adam(params, lr=2e-3)

for epoch in range(25):
    total = 0.0
    for idx in torch.randperm(len(x_train)).split(50):
        loss = F.cross_entropy(model(x_train[idx], True), y_train[idx])
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        total += loss.item() * len(idx)
    if epoch % 5 == 4:
        print(f"epoch {epoch + 1}: loss {total / len(x_train):.3f}")


def predict(x):
    with torch.no_grad():
        return model(x, False).argmax(1)


print(f"train accuracy {(predict(x_train) == y_train).float().mean().item():.4f}")
print(f"test accuracy {(predict(x_test) == y_test).float().mean().item():.4f}")
