"""Where values come from: many ways to write the same thing.

In every source ``# USE`` marks the line that is asked about and ``# HERE`` the line that is the answer.
"""

from __future__ import annotations

import textwrap
from pathlib import Path

import pytest

from flightcheck.recording.provenance import (
    argument_data_origin,
    argument_origin,
    attribute_write,
    continued_loop,
    freezing,
    loop_count,
    order_origin,
    orders,
    rate_write,
    round_count,
    skipped_step,
    value_calls,
    value_origin,
)
from flightcheck.recording.provenance.buffers import built_by, integer_buffer, made_float
from flightcheck.recording.provenance.given_names import given_names
from flightcheck.recording.provenance.repeated_data import oversamples


def write(folder: Path, code: str, name: str = "train.py") -> tuple[str, int, int | None]:
    text = textwrap.dedent(code)
    lines = text.splitlines()
    path = folder / name
    path.write_text(text, encoding="utf-8")
    use = next((i for i, line in enumerate(lines, 1) if "USE" in line), 0)
    here = next((i for i, line in enumerate(lines, 1) if "HERE" in line), None)
    return str(path), use, here


LEARNING_RATES = {
    "literal at the call": """
        opt = torch.optim.Adam(model.parameters(), lr=0.1)  # USE HERE
    """,
    "a call over several lines": """
        opt = torch.optim.Adam(  # USE
            model.parameters(),
            lr=1e-1,  # HERE
            weight_decay=0.01,
        )
    """,
    "asked by a line inside the call": """
        opt = torch.optim.Adam(
            model.parameters(),  # USE
            lr=-1e-1,  # HERE
        )
    """,
    "positional": """
        LR = 0.5  # HERE
        opt = torch.optim.SGD(model.parameters(), LR, 0.9)  # USE
    """,
    "constant at the top": """
        LR = 1e-1  # HERE

        def main():
            opt = torch.optim.Adam(model.parameters(), lr=LR)  # USE
        main()
    """,
    "tuple": """
        EPOCHS, LR = 15, 1e-1  # HERE
        opt = torch.optim.Adam(model.parameters(), lr=LR)  # USE
    """,
    "assigned twice, the last one before the use": """
        lr = 1.0
        lr = 0.1  # HERE
        opt = SGD(model.parameters(), lr=lr)  # USE
        lr = 3
    """,
    "default of a parameter": """
        def train(model, lr=1e-1):  # HERE
            opt = SGD(model.parameters(), lr=lr)  # USE
    """,
    "given at the call of the function": """
        def train(model, epochs, lr=1e-3):
            opt = SGD(model.parameters(), lr=lr)  # USE
        if __name__ == "__main__":
            train(net, 10, 0.7)  # HERE
    """,
    "attribute of the trainer": """
        class Trainer:
            def __init__(self, model, lr):
                self.model = model
                self.lr = lr
            def setup(self):
                self.opt = SGD(self.model.parameters(), lr=self.lr)  # USE
        Trainer(net, lr=2.0).setup()  # HERE
    """,
    "attribute of the class": """
        class Trainer:
            lr: float = 0.3  # HERE
            def setup(self):
                self.opt = SGD(self.model.parameters(), lr=self.lr)  # USE
    """,
    "argparse": """
        parser = argparse.ArgumentParser()
        parser.add_argument("--batch-size", type=int, default=64)
        parser.add_argument("--lr", type=float, default=0.1)  # HERE
        args = parser.parse_args()
        opt = SGD(model.parameters(), lr=args.lr)  # USE
    """,
    "argparse in functions": """
        def get_args():
            p = argparse.ArgumentParser()
            p.add_argument("-l", "--learning-rate", default=0.1)  # HERE
            return p.parse_args()
        def main(args):
            opt = SGD(model.parameters(), lr=args.learning_rate)  # USE
        main(get_args())
    """,
    "argparse, arguments of unknown origin": """
        def options(p):
            p.add_argument("--lr", default=0.1)  # HERE
        class Solver:
            def __init__(self, args):
                self.args = args
                self.opt = SGD(self.net.parameters(), lr=self.args.lr)  # USE
    """,
    "vars of argparse": """
        p.add_argument("--lr", default=0.1)  # HERE
        cfg = vars(p.parse_args())
        opt = SGD(model.parameters(), lr=cfg["lr"])  # USE
    """,
    "dictionary": """
        CONFIG = {
            "epochs": 10,
            "lr": 0.1,  # HERE
        }
        opt = SGD(model.parameters(), lr=CONFIG["lr"])  # USE
    """,
    "dict() and get": """
        cfg = dict(
            lr=0.1,  # HERE
        )
        opt = SGD(model.parameters(), lr=cfg.get("lr", 0.5))  # USE
    """,
    "nested dictionary": """
        cfg = {"optim": {"lr": 0.1}, "model": {}}  # HERE
        opt = SGD(model.parameters(), lr=float(cfg["optim"]["lr"]))  # USE
    """,
    "key assigned later": """
        cfg = {"lr": 0.1}
        cfg["lr"] = 3.0  # HERE
        opt = SGD(model.parameters(), lr=cfg["lr"])  # USE
    """,
    "options by **": """
        options = dict(lr=0.1, momentum=0.9)  # HERE
        opt = SGD(model.parameters(), **options)  # USE
    """,
    "namespace": """
        cfg = SimpleNamespace(epochs=3, lr=0.1)  # HERE
        opt = SGD(model.parameters(), lr=cfg.lr)  # USE
    """,
    "dataclass": """
        @dataclass
        class Config:
            epochs: int = 3
            lr: float = field(default=0.1)  # HERE
        cfg = Config()
        def main(cfg: Config):
            opt = SGD(model.parameters(), lr=cfg.lr)  # USE
        main(cfg)
    """,
    "dataclass, overridden when built": """
        @dataclass
        class Config:
            epochs: int = 3
            lr: float = 1e-3
        cfg = Config(lr=0.1)  # HERE
        opt = SGD(model.parameters(), lr=cfg.lr)  # USE
    """,
    "class as a namespace": """
        class C:
            LR = 0.1  # HERE
        opt = SGD(model.parameters(), lr=C.LR)  # USE
    """,
    "parameter groups": """
        opt = SGD([  # USE
            {"params": a.parameters()},
            {"params": b.parameters(), "lr": 1e-1},  # HERE
        ])
    """,
    "parameter groups by name": """
        groups = [{"params": b.parameters(), "lr": 1e-1}]  # HERE
        opt = SGD(groups)  # USE
    """,
    "computed": """
        base = 0.1
        lr = base * 64 / 256  # HERE
        opt = SGD(model.parameters(), lr=lr)  # USE
    """,
    "returned by a function": """
        def rate(big):
            return 0.1  # HERE
        opt = SGD(model.parameters(), lr=rate(True))  # USE
    """,
    "from one function to the next": """
        def make(model, lr):
            return SGD(model.parameters(), lr=lr)  # USE
        def main():
            lr = 0.1  # HERE
            opt = make(net, lr)
    """,
    "a loop over candidates": """
        for lr in [0.1, 0.01]:  # HERE
            opt = SGD(model.parameters(), lr=lr)  # USE
    """,
    "tuple of hyperparameters of a function": """
        def hyper():
            return 64, 0.1  # HERE
        def main():
            batch, lr = hyper()
            opt = SGD(model.parameters(), lr=lr)  # USE
    """,
    "unknown": """
        def train(model, lr):
            opt = SGD(model.parameters(), lr=lr)  # USE HERE
    """,
    "default None says nothing": """
        def train(model, lr=None):
            opt = SGD(model.parameters(), lr=lr)  # USE HERE
    """,
    "read from a file": """
        lr = yaml.safe_load(open("x"))  # HERE
        opt = SGD(model.parameters(), lr=lr)  # USE
    """,
    "command line of click": """
        @click.option("--lr", default=0.1)
        def main(lr=0.1):  # HERE
            opt = SGD(model.parameters(), lr=lr)  # USE
    """,
    "conditional": """
        lr = 0.1 if big else 0.2  # HERE
        opt = SGD(model.parameters(), lr=lr)  # USE
    """,
    "no such argument": """
        opt = SGD(model.parameters(), momentum=0.9)  # USE
    """,
}


@pytest.mark.parametrize("code", LEARNING_RATES.values(), ids=LEARNING_RATES)
def test_learning_rate_is_found_where_it_is_written(tmp_path: Path, code: str) -> None:
    file, use, here = write(tmp_path, code)
    assert argument_origin(file, use, "lr", 1) == (None if here is None else (file, here))


def test_learning_rate_of_another_file(tmp_path: Path) -> None:
    config, _, here = write(tmp_path, "EPOCHS = 3\nLR = 0.1  # HERE\n", "config.py")
    file, use, _ = write(tmp_path, "from config import LR\nopt = SGD(model.parameters(), lr=LR)  # USE\n")
    assert argument_origin(file, use, "lr", 1) == (config, here)
    file, use, _ = write(tmp_path, "import config as c\nopt = SGD(model.parameters(), lr=c.LR)  # USE\n")
    assert argument_origin(file, use, "lr", 1) == (config, here)


DATA = {
    "arithmetic before a loader": """
        X = torch.tensor(X, dtype=torch.float32) / 16.0 * 255  # HERE
        loader = DataLoader(TensorDataset(X, y), batch_size=64, shuffle=True)
        for epoch in range(3):
            for x, t in loader:
                loss = F.cross_entropy(model(x), t)  # USE
    """,
    "enumerate, tqdm and .to": """
        xtr = raw * 255  # HERE
        xtr, xte, ytr, yte = train_test_split(xtr, y)
        train = TensorDataset(torch.tensor(xtr), torch.tensor(ytr))
        loader = DataLoader(train)
        for i, (x, t) in enumerate(tqdm(loader)):
            x = x.to(device)
            out = model(x)  # USE
    """,
    "indexing with a permutation": """
        x_all = torch.from_numpy(a).float()
        x_all = x_all.sub(3)  # HERE
        for epoch in range(3):
            order = torch.randperm(len(x_all))
            for i in range(0, len(x_all), 32):
                idx = order[i : i + 32]
                xb = x_all[idx]
                out = model(xb)  # USE
    """,
    "batch dictionary of a custom dataset": """
        class Frames(Dataset):
            def __init__(self, images, labels):
                self.images = images
                self.labels = labels
            def __getitem__(self, i):
                return {"x": self.images[i] * 255, "y": self.labels[i]}  # HERE
        loader = DataLoader(Frames(a, b), batch_size=4)
        for batch in loader:
            out = model(batch["x"])  # USE
    """,
    "custom dataset, computed before it": """
        def load():
            raw = load_digits()
            images = raw.images.reshape(-1, 1, 8, 8)
            images = images.astype("float32") * 16  # HERE
            return images, raw.target
        class Frames(Dataset):
            def __init__(self, images, labels):
                self.images = torch.from_numpy(images)
                self.labels = labels
            def __len__(self):
                return len(self.labels)
            def __getitem__(self, i):
                x = self.images[i]
                return x, self.labels[i]
        def main():
            images, labels = load()
            train = Frames(images, labels)
            loader = DataLoader(train)
            for x, y in loader:
                out = model(x)  # USE
    """,
    "custom dataset, computed in its constructor": """
        class Table(Dataset):
            def __init__(self, frame):
                values = frame.to_numpy()
                self.x = values - 1000  # HERE
                self.y = frame["y"]
            def __getitem__(self, i):
                return self.x[i], self.y[i]
        train, val = random_split(Table(pd.read_csv("x")), [0.8, 0.2])
        for x, y in DataLoader(train):
            out = model(x)  # USE
    """,
    "loader handed to a function": """
        def epoch(model, loader, opt):
            for x, y in loader:
                out = model(x)  # USE
        X = (X - 3) / 7  # HERE
        loader = DataLoader(TensorDataset(X, y))
        for e in range(3):
            epoch(model, loader, opt)
    """,
    "loaders returned by a function": """
        def loaders():
            d = load_wine()
            X = torch.tensor(d.data * 1000)  # HERE
            tr = TensorDataset(X, torch.tensor(d.target))
            return DataLoader(tr), DataLoader(tr)
        train_loader, val_loader = loaders()
        for x, y in train_loader:
            out = model(x)  # USE
    """,
    "random minibatches by a function": """
        data = torch.tensor(ids) + 5  # HERE
        def get_batch(split):
            ix = torch.randint(len(data) - 8, (32,))
            x = torch.stack([data[i : i + 8] for i in ix])
            y = torch.stack([data[i + 1 : i + 9] for i in ix])
            return x, y
        for step in range(100):
            xb, yb = get_batch("train")
            logits = model(xb)  # USE
    """,
    "attributes of a trainer": """
        class Trainer:
            def __init__(self, x, y):
                self.x = x / 16  # HERE
                self.y = y
            def fit(self):
                for i in range(100):
                    pred = self.model(self.x)  # USE
    """,
    "generated in the loop": """
        for step in range(100):
            x = torch.randn(32, 4)  # HERE
            out = model(x)  # USE
    """,
    "computed at the call": """
        for x, y in loader:
            out = model(x.float() / 255)  # USE HERE
    """,
    "only conversions": """
        bunch = load_wine()
        X = torch.tensor(bunch.data, dtype=torch.float32)  # HERE
        for i in range(10):
            out = model(X)  # USE
    """,
    "integers lose values": """
        X = raw / 16
        X = torch.tensor(X, dtype=torch.uint8)  # HERE
        for x, y in DataLoader(TensorDataset(X, y)):
            out = model(x.float())  # USE
    """,
    "in place": """
        X = torch.tensor(raw)
        X *= 255  # HERE
        out = model(X)  # USE
    """,
    "in place, by a method": """
        X = torch.tensor(raw)
        X.mul_(255)  # HERE
        out = model(X)  # USE
    """,
    "values filled in": """
        X = (X - X.mean(0)) / X.std(0)
        X[rng.random(X.shape) < 0.01] = np.nan  # HERE
        for x, y in DataLoader(TensorDataset(torch.from_numpy(X), y)):
            out = model(x)  # USE
    """,
    "zip": """
        xs = torch.tensor(raw) * 3  # HERE
        for x, y in zip(xs.split(10), ys.split(10)):
            out = model(x)  # USE
    """,
    "list of batches": """
        batches = []
        for i in range(0, len(X), 32):
            batches.append((X[i : i + 32] * 2, y[i : i + 32]))  # HERE
        for x, y in batches:
            out = model(x)  # USE
    """,
    "next of an iterator": """
        X = load() * 2  # HERE
        it = iter(DataLoader(TensorDataset(X, y)))
        for step in range(100):
            x, y = next(it)
            out = model(x)  # USE
    """,
    "generator": """
        def stream():
            while True:
                x = torch.rand(32, 2) * 10  # HERE
                yield x, x.sum(1)
        for x, y in stream():
            out = model(x)  # USE
    """,
    "a loader without end": """
        def load():
            x = torch.rand(90, 2) * 10  # HERE
            return TensorDataset(x[:60], y[:60]), TensorDataset(x[60:], y[60:])
        def forever(loader):
            while True:
                yield from loader
        train, test = load()
        batches = forever(DataLoader(train, shuffle=True))
        for step in range(100):
            x, y = next(batches)
            out = model(x)  # USE
    """,
    "closure for LBFGS": """
        def main():
            t = torch.linspace(0, 1, 50) * 9  # HERE
            def closure():
                opt.zero_grad()
                out = model(t)  # USE
                return out.sum()
            opt.step(closure)
    """,
    "collate function": """
        def collate(items):
            xs = torch.stack([i[0] for i in items]) * 7  # HERE
            return xs, torch.tensor([i[1] for i in items])
        loader = DataLoader(pairs, collate_fn=collate)
        for x, y in loader:
            out = model(x)  # USE
    """,
    "transform of an image set": """
        tf = Compose([ToTensor(), Normalize((0.5,), (0.0005,))])  # HERE
        train = datasets.MNIST("data", train=True, transform=tf)
        for x, y in DataLoader(train, batch_size=64):
            out = model(x)  # USE
    """,
    "scaler": """
        X, y = load_wine(return_X_y=True)
        Xs = StandardScaler().fit_transform(X)  # HERE
        X_train = torch.tensor(Xs).float()
        out = model(X_train)  # USE
    """,
    "loaded, nothing computed": """
        X = np.load("x.npy")  # HERE
        for i in range(0, len(X), 4):
            out = model(X[i : i + 4])  # USE
    """,
    "preprocessing by a function of the user": """
        def scale(x):
            return x * 255  # HERE
        x = scale(torch.tensor(raw))
        out = model(x)  # USE
    """,
    "unknown": """
        def step(x):
            return model(x)  # USE
    """,
    "a prediction that is scaled back": """
        for x, water in sites:
            z = torch.from_numpy(scaler.fit_transform(x))  # HERE
            guess = y_scaler.inverse_transform(net(z).numpy())[:, 0]  # USE
    """,
}


@pytest.mark.parametrize("code", DATA.values(), ids=DATA)
def test_data_are_found_where_they_were_last_computed(tmp_path: Path, code: str) -> None:
    file, use, here = write(tmp_path, code)
    expected = None if here is None else (file, here)
    assert value_origin(file, use, None) == expected


def test_a_named_expression_is_followed(tmp_path: Path) -> None:
    code = """
        x = load() / 2
        y = labels.long()
        y = y % 3  # HERE
        for i in range(3):
            loss = criterion(model(x), y)  # USE
    """
    file, use, here = write(tmp_path, code)
    assert value_origin(file, use, "y") == (file, here)
    assert value_origin(file, use, "model(x)") == (file, use)
    assert value_origin(file, use + 40, "y") is not None  # not on that line: as if it stood there


def test_the_target_of_a_loss_is_followed(tmp_path: Path) -> None:
    code = """
        y = torch.tensor(prices) * 1000  # HERE
        loader = DataLoader(TensorDataset(x, y))
        for xb, yb in loader:
            loss = loss_fn(model(xb, mask), yb)  # USE
    """
    file, use, here = write(tmp_path, code)
    assert argument_data_origin(file, use, "target", 1) == (file, here)
    assert argument_data_origin(file, use, "weight", 7) is None


ORDERS = {
    "fixed order by index": """
        for epoch in range(3):
            order = torch.arange(len(X))  # HERE
            for start in range(0, len(X), 32):
                rows = order[start : start + 32]
                out = model(X[rows])  # USE
    """,
    "slices": """
        for epoch in range(3):
            for i in range(0, len(X), 32):  # HERE
                xb = X[i : i + 32]
                out = model(xb)  # USE
    """,
    "generator of batches": """
        def batches(x, y):
            for chunk in torch.arange(len(x)).split(32):  # HERE
                yield x[chunk], y[chunk]
        for xb, yb in batches(X, Y):
            out = model(xb)  # USE
    """,
    "rows of one tensor or the other": """
        def augment(x):
            changed = x.flip(-1)
            return torch.where(torch.rand(len(x), 1) < 0.5, changed, x)
        order = torch.randperm(len(X))  # HERE
        X = X[order]
        out = model(augment(X))  # USE
    """,
    "random rows": """
        idx = torch.randint(0, len(X), (32,))  # HERE
        out = model(X[idx].to(device))  # USE
    """,
    "no index": """
        for x, y in DataLoader(TensorDataset(X, Y)):
            out = model(x)  # USE
    """,
}


@pytest.mark.parametrize("code", ORDERS.values(), ids=ORDERS)
def test_order_of_hand_made_batches(tmp_path: Path, code: str) -> None:
    file, use, here = write(tmp_path, code)
    assert order_origin(file, use, None) == (None if here is None else (file, here))


def test_all_orders_on_the_way_back(tmp_path: Path) -> None:
    text = """
        X = shuffle(load("x"))
        cut = torch.randperm(len(X))
        held, X = X[cut[:9]], X[cut[9:]]
        for i in range(0, len(X), 32):
            rows = np.random.permutation(len(X))
            out = model(X[rows])  # USE
    """
    file, use, _ = write(tmp_path, text)
    code = Path(file).read_text().splitlines()
    found = orders(file, use, None)
    assert [code[line - 1].strip().partition(" = ")[0] for (_, line), _ in found] == ["rows", "cut", "X"]
    assert [code[line - 1].strip().partition(" = ")[0] for _, (_, line) in found] == ["out", "held, X", "X"]
    assert orders(file, 1, "nothing") == []


@pytest.mark.parametrize(
    ("call", "found"),
    [
        ("torch.roll(X, 1)", 1),
        ("torch.roll(X, 1, 0)", 1),
        ("torch.roll(X, (dy, dx), dims=(2, 3))", 0),
        ("np.roll(X, 1, axis=-1)", 0),
        ("torch.flip(X, [3])", 0),
        ("np.flip(X)", 1),
        ("np.flip(X, axis=axes)", 1),
    ],
)
def test_turning_examples_in_themselves_is_no_order_of_them(tmp_path: Path, call: str, found: int) -> None:
    file, use, _ = write(tmp_path, f"X = load()\nX = {call}\nout = model(X)  # USE")
    assert len(orders(file, use, None)) == found


LOOPS = {
    "literal": (12, "for epoch in range(12):\n    for x, y in loader:\n        step(x)  # USE"),
    "constant": (15, "EPOCHS, LR = 15, 0.1\nfor e in range(EPOCHS):\n    for x in loader:\n        step(x)  # USE"),
    "from 1": (20, "N = 20\nfor e in range(1, N + 1):\n    for x in loader:\n        step(x)  # USE"),
    "tqdm": (7, "for e in tqdm(range(7), desc='x'):\n    for i, x in enumerate(loader):\n        step(x)  # USE"),
    "trange": (9, "for e in trange(9):\n    for x in loader:\n        step(x)  # USE"),
    "argparse": (
        30,
        "p.add_argument('--epochs', type=int, default=30)\nargs = p.parse_args()\n"
        "for e in range(args.epochs):\n    for x in loader:\n        step(x)  # USE",
    ),
    "called from the epoch loop": (
        6,
        "def train_epoch(loader):\n    for x, y in loader:\n        step(x)  # USE\n"
        "def main():\n    for epoch in range(6):\n        train_epoch(loader)\nmain()",
    ),
    "closure": (
        25,
        "def main():\n    for epoch in range(25):\n        def closure():\n            return step(x)  # USE\n"
        "        opt.step(closure)",
    ),
    "parameter with a default": (
        4,
        "def fit(epochs=4):\n    for e in range(epochs):\n        for b in data:\n            step()  # USE",
    ),
    "a loop over steps": (
        None,
        "def fit(n=400):\n    for i in range(n):\n        x = next(stream)\n        step(x)  # USE",
    ),
    "several seeds outside": (
        10,
        "def train(seed):\n    for e in range(10):\n        for x in loader:\n            step(x)  # USE\n"
        "for seed in range(3):\n    train(seed)",
    ),
    "chunks of data": (
        8,
        "for e in range(8):\n    for i in range(0, len(X), 32):\n        step(X[i : i + 32])  # USE",
    ),
    "trainer": (
        11,
        "class T:\n    def __init__(self, epochs=11):\n        self.epochs = epochs\n"
        "    def fit(self):\n        for e in range(self.epochs):\n            self.one()\n"
        "    def one(self):\n        for x in self.loader:\n            step(x)  # USE",
    ),
    "over the data only": (None, "for x, y in loader:\n    step(x)  # USE"),
    "chunks only": (None, "for i in range(0, len(X), 32):\n    step(X)  # USE"),
    "unknown number": (None, "for e in range(read_epochs()):\n    step()  # USE"),
    "number of batches": (None, "for i in range(len(loader)):\n    step()  # USE"),
    "no loop": (None, "step()  # USE"),
}


@pytest.mark.parametrize(("rounds", "code"), LOOPS.values(), ids=LOOPS)
def test_planned_epochs(tmp_path: Path, rounds: int | None, code: str) -> None:
    file, use, _ = write(tmp_path, code)
    assert loop_count(file, use, {}) == rounds


def test_values_of_the_running_program_win(tmp_path: Path) -> None:
    file, use, _ = write(tmp_path, "for e in range(args.epochs):\n    for b in loader:\n        step()  # USE\n")
    assert loop_count(file, use, {}) is None
    assert loop_count(file, use, {"args.epochs": 3}) == 3


@pytest.mark.parametrize("text", ["def broken(:\n", "\x00\x01", "", "x = [" * 500, "a = a\nb = f(b)\n", "\xff"])
def test_odd_sources_answer_none(tmp_path: Path, text: str) -> None:
    path = tmp_path / "odd.py"
    path.write_bytes(text.encode("latin-1"))
    assert argument_origin(str(path), 1, "lr", 1) is None
    value_origin(str(path), 2, None)
    assert value_origin(str(path), 1, "not an expression !") is None
    assert loop_count(str(path), 1, {}) is None


def test_missing_file_answers_none() -> None:
    assert argument_origin("/no/such/file.py", 1, "lr", 1) is None
    assert value_origin("<stdin>", 1, "x") is None
    assert loop_count("<ipython-input-3>", 1, {}) is None


def test_definitions_in_a_circle_end(tmp_path: Path) -> None:
    code = """
        def f(x):
            return g(x)
        def g(x):
            return f(x)
        a = f(a)
        b = a
        a = b
        SGD(p, lr=f(a))  # USE
    """
    file, use, _ = write(tmp_path, code)
    assert argument_origin(file, use, "lr", 1) is not None
    value_origin(file, use, "a")


@pytest.mark.parametrize(
    ("text", "line"),
    [
        ("for group in optimizer.param_groups:\n    group['lr'] = 0.1 * step\n", 2),
        ("optimizer.param_groups[0]['lr'] *= 0.5\n", 1),
        ("a['lr'] = 1\nb['lr'] = 2\n", None),
        ("settings = {'lr': 0.1}\nprint(settings['lr'])\n", None),
        ("this is no Python", None),
    ],
)
def test_where_the_learning_rate_is_set_by_hand(tmp_path: Path, text: str, line: int | None) -> None:
    file = tmp_path / "train.py"
    file.write_text(text)
    assert rate_write(str(file)) == ((str(file), line) if line else None)


def test_where_a_class_assigns_an_attribute(tmp_path: Path) -> None:
    file = tmp_path / "net.py"
    file.write_text(
        "class Net(Module):\n    def __init__(self):\n        self.a, self.b = 1, 2\n        self.c: int = 3\n"
    )
    assert [attribute_write(str(file), "Net", n) for n in "abc"] == [(str(file), line) for line in (3, 3, 4)]
    assert attribute_write(str(file), "Net", "d") is None
    assert attribute_write(str(file), "Other", "a") is None


ROUNDS = {
    "a loop over steps": ("for step in range(20_000):\n    loss.backward()  # USE\n", 20_000),
    "loops in loops": ("for epoch in range(3):\n    for i in range(50):\n        loss.backward()  # USE\n", 150),
    "a constant": ("STEPS = 400\nfor step in range(STEPS):\n    loss.backward()  # USE\n", 400),
    "batches of unknown number": ("for e in range(3):\n    for x in loader:\n        loss.backward()  # USE\n", None),
    "no loop": ("loss.backward()  # USE\n", None),
    "without end": ("while True:\n    loss.backward()  # USE\n", None),
}


@pytest.mark.parametrize(("code", "rounds"), ROUNDS.values(), ids=ROUNDS)
def test_planned_rounds_in_all(tmp_path: Path, code: str, rounds: int | None) -> None:
    file, use, _ = write(tmp_path, code)
    assert round_count(file, use) == rounds
    assert round_count(str(tmp_path / "gone.py"), use) is None


@pytest.mark.parametrize(
    ("code", "before", "line"),
    [
        ("p.requires_grad = False\nopt = Adam()", 2, 1),
        ("m.requires_grad_(False)\nhead.requires_grad_(True)\nopt = Adam()", 3, 1),
        ("a.requires_grad = False\nb.requires_grad_(requires_grad=False)\nopt = Adam()", 3, 2),
        ("opt = Adam()\np.requires_grad = False", 1, None),
        ("p.requires_grad = True\nopt = Adam()", 2, None),
    ],
)
def test_the_nearest_line_that_freezes(tmp_path: Path, code: str, before: int, line: int | None) -> None:
    file = tmp_path / "train.py"
    file.write_text(code)
    assert freezing(str(file), before) == ((str(file), line) if line else None)


@pytest.mark.parametrize(
    ("code", "line"),
    [
        ("for x in d:\n  b()\n  if i % 4 == 4:\n    opt.step()", 3),
        ("for x in d:\n  b()\n  opt.step()", None),
        ("for x in d:\n  b()\n  if a:\n    opt.step()\n  if c:\n    other.step()", None),
        ("for x in d:\n  b()\n  if a:\n    opt.step()\n  scheduler.step()", 3),
        ("def f():\n  b()\ndef g():\n  if a:\n    opt.step()", None),
        ("for x in d:\n  b()", None),
    ],
)
def test_the_condition_under_which_a_step_would_be_made(tmp_path: Path, code: str, line: int | None) -> None:
    file = tmp_path / "train.py"
    file.write_text(code)
    assert skipped_step(str(file), 2) == ((str(file), line) if line else None)


RESUMED = {
    "at the top": """
        start = 0
        if args.resume:
            ckpt = torch.load(path)  # READ
            start = ckpt["epoch"] + 1
        for epoch in range(start, 90):  # HERE
            loss.backward()  # USE
    """,
    "in methods": """
        class Trainer:
            def resume(self):
                ckpt = torch.load(path)  # READ
                self.model.load_state_dict(ckpt["model"])
                if "epoch" in ckpt:
                    self.start = ckpt["epoch"]

            def fit(self):
                for epoch in tqdm(range(self.start, 90)):  # HERE
                    loss.backward()  # USE
    """,
    "returned by a function": """
        def load(model):
            state = torch.load(path)  # READ
            return state["model"], int(state.get("epoch", 0))

        def train(model, first=0):
            step = first
            while step < 100:  # HERE
                loss.backward()  # USE
                step += 1

        _, begin = load(model)
        train(model, first=begin)
    """,
    "only with an option": """
        ckpt = torch.load(path)  # READ
        if not args.finetune:
            start = ckpt["epoch"]
        for epoch in range(start, 90):
            loss.backward()  # USE
    """,
    "only sometimes": """
        ckpt = torch.load(path)  # READ
        start = 0 if args.finetune else ckpt["epoch"]
        for epoch in range(start, 90):
            loss.backward()  # USE
    """,
    "left before": """
        def load():
            ckpt = torch.load(path)  # READ
            if args.finetune:
                return 0
            return ckpt["epoch"]

        for epoch in range(load(), 90):
            loss.backward()  # USE
    """,
    "set back": """
        ckpt = torch.load(path)  # READ
        start = ckpt["epoch"]
        start = 0
        for epoch in range(start, 90):
            loss.backward()  # USE
    """,
    "for the message": """
        ckpt = torch.load(path)  # READ
        best = ckpt["epoch"]
        for epoch in range(best):
            print(epoch)
        for epoch in range(0, 90):
            loss.backward()  # USE
    """,
    "another loop": """
        ckpt = torch.load(path)  # READ
        for old in range(ckpt["epoch"], 90):
            print(old)
        for epoch in range(90):
            loss.backward()  # USE
    """,
    "no counter": """
        model.load_state_dict(torch.load(path))  # READ
        for epoch in range(90):
            loss.backward()  # USE
    """,
}


@pytest.mark.parametrize("code", RESUMED.values(), ids=RESUMED)
def test_the_loop_that_goes_on_from_a_checkpoint(tmp_path: Path, code: str) -> None:
    file, use, here = write(tmp_path, code)
    read = next(i for i, line in enumerate(Path(file).read_text().splitlines(), 1) if "READ" in line)
    assert continued_loop([(file, read)], "epoch", [(file, use)]) == ((file, here) if here else None)
    assert continued_loop([(file, read)], "step", [(file, use)]) is None


BUFFERS = {
    "of the type of another array": ("scaled = np.zeros_like(counts)", True),
    "a copy": ("scaled = counts.copy()", True),
    "of whole numbers": ("scaled = np.zeros(counts.shape, dtype=np.int32)", True),
    "of whole numbers, without a name": ("scaled = np.empty(counts.shape, int)", True),
    "torch, of whole numbers": ("scaled = torch.full(counts.shape, 0, dtype=torch.long)", True),
    "float": ("scaled = np.zeros_like(counts, dtype=np.float32)", False),
    "float, without a name": ("scaled = np.zeros_like(counts, float)", False),
    "float by default": ("scaled = np.zeros(counts.shape)", False),
    "computed": ("scaled = counts * 1.0", False),
}


@pytest.mark.parametrize(("made", "told"), BUFFERS.values(), ids=BUFFERS)
@pytest.mark.parametrize("value", ["(counts[:, j] - low[j]) / (high[j] - low[j])", "counts[:, j]"])
def test_arrays_that_are_filled_by_elements(tmp_path: Path, made: str, told: bool, value: str) -> None:
    code = (
        f"def scale(counts):\n    {made}\n    for j in range(4):\n        scaled[:, j] = {value}\n    return scaled\n"
    )
    file, _, _ = write(tmp_path, code)
    assert integer_buffer(file, 4) == ((file, 2) if told and "/" in value else None)
    assert integer_buffer(file, 5) is None


def test_the_function_that_made_what_a_model_is_given(tmp_path: Path) -> None:
    code = """
        def to_ids(texts, words):
            return torch.tensor([[words[w] for w in text] for text in texts])
        ids = to_ids(texts, build(texts))  # HERE
        model.eval()
        guess = model(ids).argmax(1)  # USE
        other = model(torch.zeros(3))
    """
    file, use, here = write(tmp_path, code)
    assert built_by(file, use) == (file, here)
    assert built_by(file, use + 1) is None
    assert built_by("missing.py", 1) is None


@pytest.mark.parametrize(
    ("text", "asked"),
    [
        ("x = scaled(raw)  # ASKED", True),
        ("table = nested(raw)  # ASKED\nx = torch.tensor(table)", True),
        ("x = raw * 2", False),
    ],
)
def test_the_call_that_asked_for_a_value(tmp_path: Path, text: str, asked: bool) -> None:
    """Of nested functions the one that the code around the use calls; arithmetic in line needs no call."""
    functions = "def scaled(a):\n    return a / 2\ndef nested(a):\n    return scaled(a)\n"
    path = tmp_path / "train.py"
    path.write_text(f"{functions}{text}\nmodel(x)  # USE\n")
    lines = path.read_text().splitlines()
    use, here = (next((n for n, line in enumerate(lines, 1) if mark in line), 0) for mark in ("# USE", "# ASKED"))
    assert value_calls(str(path), use, None)[0] == ((str(path), here) if asked else None)


@pytest.mark.parametrize(
    ("text", "once"),
    [
        ("x = scaled(raw)  # ASKED", True),
        ("x = tensor(scaled(raw))  # ASKED", True),
        ("x = nested(raw)", True),
        ("for raw in groups:\n    x = scaled(raw)", False),
        ("x = [scaled(raw) for raw in groups]", False),
        ("x = raw * 2", False),
    ],
)
def test_the_call_that_makes_a_value_once(tmp_path: Path, text: str, once: bool) -> None:
    """The innermost one: a function between it and the use hands the values on."""
    functions = "def scaled(a):\n    return a / 2\ndef tensor(a):\n    return a\n"
    functions += (
        f"def nested(a):\n    b = scaled(a)  {'# ASKED' if 'ASKED' not in text else ''}\n    return tensor(b)\n"
    )
    path = tmp_path / "train.py"
    path.write_text(f"{functions}{text}\nmodel(x)  # USE\n")
    lines = path.read_text().splitlines()
    use, here = (next((n for n, line in enumerate(lines, 1) if mark in line), 0) for mark in ("# USE", "# ASKED"))
    assert value_calls(str(path), use, None)[1] == ((str(path), here) if once else None)


def test_the_rows_of_what_is_computed_with_numbers(tmp_path: Path) -> None:
    file = tmp_path / "train.py"
    file.write_text("x = x[np.random.permutation(9)] / 16\nz = 2 * -(x - m) - 1\nout = model(z)\n")
    assert [made[1] for made, _ in orders(str(file), 3, None)] == [1]


BYTES = {
    "in a function of its own": """
        def crop():
            return np.clip(image * 255, 0, 255).astype(np.uint8)
        def to_tensor(images):
            return torch.from_numpy(images).permute(0, 3, 1, 2).float()  # HERE
        pictures = np.stack([crop() for _ in range(9)])
        out = model(to_tensor(pictures[pick]))  # USE
    """,
    "by a type": """
        pictures = rng.integers(0, 256, (9, 8, 8)).astype("uint8")
        x = torch.tensor(pictures, dtype=torch.float32)  # HERE
        out = model(x)  # USE
    """,
    "scaled behind": """
        pictures = images.astype(np.uint8)
        x = torch.from_numpy(pictures).float() / 255
        out = model(x)  # USE
    """,
    "never bytes": """
        pictures = images * 255
        x = torch.from_numpy(pictures).float()
        out = model(x)  # USE
    """,
    "still bytes": """
        pictures = images.astype(np.uint8)
        out = model(torch.from_numpy(pictures))  # USE
    """,
}


@pytest.mark.parametrize("case", BYTES)
def test_where_bytes_become_numbers(case: str, tmp_path: Path) -> None:
    path, use, here = write(tmp_path, BYTES[case])
    assert made_float(path, use, None) == ((path, here) if here else None)


CALLED = """
    def predict(model, x):
        return model(x)  # INNER
    def score(model, data, labels):
        return (predict(model, data) == labels).mean()  # MIDDLE
    print(score(net, X_val, y_val))  # OUTER
"""


def test_what_the_functions_around_a_line_were_given(tmp_path: Path) -> None:
    path, _, _ = write(tmp_path, CALLED)
    lines = Path(path).read_text().splitlines()
    chain = [
        (path, next(i for i, line in enumerate(lines, 1) if mark in line)) for mark in ("INNER", "MIDDLE", "OUTER")
    ]
    assert given_names(chain) == ["model, data", "net, X_val"], "labels are not used in the line"
    assert given_names(chain[:1]) == []
    assert given_names([chain[0], (path, 1)]) == [] and given_names([("gone.py", 1), ("gone.py", 2)]) == []


@pytest.mark.parametrize(
    ("code", "copies"),
    [
        ("extra = np.random.choice(rare, size=n, replace=True)", True),
        ("extra = rng.choice(rare, size=n)\nkeep = np.concatenate([rows, extra])", True),
        ("x, y = resample(x_rare, y_rare, n_samples=900)", True),
        ("x, y = RandomOverSampler().fit_resample(x, y)", True),
        ("x = x.repeat(4, 1)", True),
        ("labels = rng.choice(3, size=900)\nx = centres[labels]", False),
        ("some = rng.choice(rows, size=30, replace=False)\nx = np.concatenate([x, x[some]])", False),
        ("x = torch.cat([a, b])", False),
    ],
)
def test_files_that_copy_examples(code: str, copies: bool, tmp_path: Path) -> None:
    path, _, _ = write(tmp_path, code)
    assert oversamples(path) == copies
