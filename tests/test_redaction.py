"""Secrets on the command line are not recorded, and those in code are not shown."""

from __future__ import annotations

import pytest

from flightcheck.redaction import redacted, redacted_code, redacted_text


@pytest.mark.parametrize(
    ("given", "kept"),
    [
        (["--lr", "0.1"], ["--lr", "0.1"]),
        (["--api-key", "abc", "--epochs", "3"], ["--api-key", "***", "--epochs", "3"]),
        (["--wandb_token=abc"], ["--wandb_token=***"]),
        (["db.password=abc", "model.keys=4"], ["db.password=***", "model.keys=***"]),
        (["postgres://me:pass@host/db"], ["postgres://me:***@host/db"]),
        (["hf_" + "a" * 30], ["***"]),
        (["0123456789abcdef" * 2 + "01234567"], ["***"]),
        (["--token", "--verbose"], ["--token", "--verbose"]),
        (["--tokenizer", "bpe", "--monkey", "x"], ["--tokenizer", "bpe", "--monkey", "x"]),
    ],
)
def test_secrets_are_hidden(given: list[str], kept: list[str]) -> None:
    assert redacted(given) == kept


@pytest.mark.parametrize(
    ("line", "shown"),
    [
        ('wandb.login(key="abc")', 'wandb.login(key="***")'),
        ("API_KEY = 'abc'", "API_KEY = '***'"),
        ("os.environ['HF_TOKEN'] = 'x y'", "os.environ['HF_TOKEN'] = '***'"),
        ('config = {"password": "abc", "lr": 0.1}', 'config = {"password": "***", "lr": 0.1}'),
        ('login("hf_' + "a" * 30 + '")', 'login("***")'),
        ('connect("postgres://me:pass@host/db")', 'connect("postgres://me:***@host/db")'),
        ('tokenizer = "bpe"', 'tokenizer = "bpe"'),
        ("keys = sorted(state)", "keys = sorted(state)"),
        ("    loss = criterion(model(x), y)  # token by token", "    loss = criterion(model(x), y)  # token by token"),
        ('monkey = "x"', 'monkey = "x"'),
    ],
)
def test_secrets_in_code_are_hidden(line: str, shown: str) -> None:
    assert redacted_code(line) == shown


@pytest.mark.parametrize(
    ("given", "kept"),
    [
        ('wandb.login(key="0a1b2c3d4e")', 'wandb.login(key="***")'),
        ("os.environ['WANDB_API_KEY'] = 'abcdefgh1'", "os.environ['WANDB_API_KEY'] = '***'"),
        ('{"password": "correct.horse"}', '{"password": "***"}'),
        ("connect('postgres://me:pass@host/db')", "connect('postgres://me:***@host/db')"),
        ("login('hf_" + "a" * 30 + "')", "login('***')"),
        ("sorted(xs, key=len); pad_token = '<pad>'", "sorted(xs, key=len); pad_token = '<pad>'"),
        ("lr = 0.1\nkeys = model.state_dict()\n", "lr = 0.1\nkeys = model.state_dict()\n"),
    ],
)
def test_secrets_in_source_code_are_hidden(given: str, kept: str) -> None:
    assert redacted_text(given) == kept
