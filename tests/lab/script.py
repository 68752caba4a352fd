"""The script of the tests of trials: what it does beside its training says its first argument."""

from __future__ import annotations

import os
import random
import sys
from pathlib import Path
from typing import Any

import numpy as np
import torch
import torch.nn.functional as F
from torch import nn
from torch.utils.data import DataLoader, TensorDataset

KIND = sys.argv[1] if len(sys.argv) > 1 else "plain"
FILE = Path(sys.argv[2]) if len(sys.argv) > 2 else Path("none")


def train(steps: int = 10**6) -> None:
    x = torch.randn(64, 6) + float(np.random.default_rng().normal()) + random.random() + float(np.random.rand())
    y = (x.sum(1) > x.sum(1).median()).long()
    workers = 1 if KIND == "workers" else 0
    data = DataLoader(TensorDataset(x, y), batch_size=16, shuffle=True, num_workers=workers)
    model = nn.Sequential(nn.Linear(6, 8), nn.ReLU(), nn.Dropout(0.1), nn.Linear(8, 2))
    optimizer = torch.optim.SGD(model.parameters(), lr=0.1)
    done = 0
    while done < steps:
        for a, b in data:
            optimizer.zero_grad()
            F.cross_entropy(model(a), b).backward()
            optimizer.step()
            done += 1


def act() -> None:
    """Something that touches the world outside."""
    if KIND == "open":
        FILE.open("w").write("gone")
    elif KIND == "append":
        open(FILE, "a").write("gone")  # noqa: PTH123, SIM115
    elif KIND == "os.open":
        os.open(FILE, os.O_WRONLY | os.O_TRUNC)
    elif KIND == "np.save":
        np.save(FILE, np.ones(3))
    elif KIND == "torch.save":
        torch.save({"a": 1}, FILE)
    elif KIND == "torch.save by name":
        torch.save(obj={"a": 1}, f=str(FILE))
    elif KIND == "torch.jit.save":
        torch.jit.save(torch.jit.script(nn.Linear(1, 1)), str(FILE))
    elif KIND == "os.remove":
        os.remove(FILE)  # noqa: PTH107
    elif KIND == "os.rename":
        os.rename(FILE, "mine")  # noqa: PTH104
    elif KIND == "shutil.rmtree":
        import shutil

        shutil.rmtree(FILE.parent)
    elif KIND == "shutil.move":
        import shutil

        shutil.move(str(FILE), "mine")
    elif KIND == "shutil.copy":
        import shutil

        shutil.copy(__file__, FILE)
    elif KIND == "truncate":
        os.truncate(FILE, 0)
    elif KIND == "chmod":
        os.chmod(FILE, 0)  # noqa: PTH101
    elif KIND == "sqlite3":
        import sqlite3

        sqlite3.connect(FILE).execute("create table t (x)")
    elif KIND == "sqlite3 address":
        import sqlite3

        sqlite3.connect(f"file:{FILE}?mode=rwc", uri=True).execute("create table t (x)")
    elif KIND == "link":
        Path("large.bin").write_bytes(b"gone")
    elif KIND == "link to a folder":
        Path("linked/inner.txt").write_text("gone")
    elif KIND == "upwards":
        Path("../user.txt").write_text("gone")
    elif KIND == "swallowed":
        try:
            FILE.write_text("gone")
        except BaseException:
            pass
    elif KIND == "subprocess":
        import subprocess

        subprocess.run(["touch", str(FILE)], check=False)
    elif KIND == "os.system":
        os.system(f"touch {FILE}")
    elif KIND == "spawn":
        import multiprocessing

        multiprocessing.get_context("spawn").Process(target=print).start()
    elif KIND == "network":
        import socket

        socket.create_connection(("192.0.2.1", 80), timeout=1)
    elif KIND == "datagram":
        import socket

        socket.socket(socket.AF_INET, socket.SOCK_DGRAM).sendto(b"x", ("192.0.2.1", 80))


def inside() -> None:
    """All that a trial may do."""
    import shutil
    import sqlite3
    import subprocess
    import tempfile

    assert Path("data.txt").read_text() == "data"
    assert Path("linked/inner.txt").read_text() == "inner"
    assert Path("../beside/other.txt").read_text() == "other"
    Path("data.txt").write_text("changed")
    Path("out/deep").mkdir(parents=True)
    FILE.parent.mkdir(exist_ok=True)
    os.makedirs(FILE.parent, exist_ok=True)  # noqa: PTH103
    torch.save({"a": 1}, "out/model.pt")
    np.savez("out/arrays.npz", a=np.ones(2))
    sqlite3.connect("out/log.db").execute("create table t (x)")
    sqlite3.connect(":memory:").execute("create table t (x)")
    with tempfile.NamedTemporaryFile() as file:
        file.write(b"x")
    shutil.rmtree("out")
    Path(os.devnull).write_text("x")
    subprocess.run(["uname", "-a"], check=True)
    assert FILE.read_text() == "user's"


def end() -> None:
    """Ways in which a script ends, or does not."""
    if KIND == "crash at once":
        raise RuntimeError("no data")
    if KIND == "crash later":
        train(20)
        raise RuntimeError("later")
    if KIND == "exit at once":
        sys.exit(3)
    if KIND == "exit later":
        train(20)
        sys.exit("enough")
    if KIND == "killed":
        os.kill(os.getpid(), 9)
    if KIND == "hangs":
        while True:
            pass
    if KIND == "hangs later":
        train(15)
        while True:
            pass
    if KIND == "swallows":
        while True:
            try:
                train()
            except BaseException:
                pass


def seed() -> Any:
    """Seeds as scripts set them."""
    if KIND == "seeded":
        random.seed(5)
        np.random.seed(5)
        torch.manual_seed(5)
    elif KIND == "seeded by name":
        random.seed(a=5)
        np.random.seed(seed=5)
        torch.manual_seed(seed=5)
        np.random.default_rng(seed=5)
    elif KIND == "seeded by the clock":
        random.seed()
        np.random.seed()
        torch.seed()
    elif KIND == "seeded by words":
        random.seed("five")
        np.random.seed([1, 2])
        torch.manual_seed(int(np.random.default_rng(np.random.SeedSequence(7)).integers(99)))


if __name__ == "__main__":
    seed()
    act()
    if KIND == "inside":
        inside()
    end()
    train()
