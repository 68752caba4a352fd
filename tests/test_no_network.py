"""Nothing leaves the machine."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

PROGRAM = """
import sys

ASKED = ("socket.connect", "socket.getaddrinfo", "socket.gethostbyname", "socket.gethostbyaddr", "socket.sendto",
         "socket.sendmsg", "socket.bind")

def note(event, arguments):
    if event in ASKED:
        print("network:", event, file=sys.stderr)

sys.addaudithook(note)
from flightcheck.cli.main import main
sys.exit(main(sys.argv[1:]))
"""
TRAINING = """
import torch
torch.manual_seed(0)
model = torch.nn.Linear(4, 2)
optimizer = torch.optim.SGD(model.parameters(), lr=0.1)
for _ in range(20):
    optimizer.zero_grad()
    torch.nn.functional.cross_entropy(model(torch.randn(8, 4)), torch.randint(2, (8,))).backward()
    optimizer.step()
"""


def network_use(folder: Path, script: str) -> tuple[int, list[str]]:
    (folder / "train.py").write_text(script)
    command = [
        sys.executable,
        "-c",
        PROGRAM,
        "check",
        "--lab-budget",
        "0",
        "--json",
        "a.json",
        "--sarif",
        "a.sarif",
        "train.py",
    ]
    done = subprocess.run(command, cwd=folder, capture_output=True, encoding="utf-8", check=False, timeout=200)
    return done.returncode, [line for line in done.stderr.splitlines() if line.startswith("network:")]


def test_a_check_opens_no_connection(tmp_path: Path) -> None:
    status, used = network_use(tmp_path, TRAINING)
    assert used == []
    assert status in (0, 1)
    assert (tmp_path / "a.json").is_file()


def test_a_connection_would_be_seen(tmp_path: Path) -> None:
    own = "import socket\ns = socket.socket()\ns.connect_ex(('127.0.0.1', 9))\ns.close()\n"
    assert network_use(tmp_path, own + TRAINING)[1] == ["network: socket.connect"]
