"""``flightcheck models``: names for the checkpoints of runs."""

from __future__ import annotations

import argparse
import dataclasses
import json
from collections.abc import Sequence
from pathlib import Path
from typing import Final

from flightcheck.cli.tag import folder_of
from flightcheck.errors import UsageError
from flightcheck.options import DEFAULT_RUNS_DIR
from flightcheck.recording.printed import is_of_unseen
from flightcheck.tracking.models import NO_STAGE, ModelVersion, add_model, read_models, set_stage
from flightcheck.tracking.summary import RUN_FILE

_METRICS: Final = 4
"""Metrics in a line of the table; --json tells all."""


def main(parser: argparse.ArgumentParser, arguments: list[str]) -> int:
    """Run the command."""
    actions = parser.add_subparsers(dest="action", metavar="list | add | stage", prog=parser.prog)
    listed = actions.add_parser("list", help="the registered versions, also without the word", allow_abbrev=False)
    listed.add_argument("name", nargs="?", metavar="NAME", help="only those of this model")
    listed.add_argument("--stage", metavar="STAGE", help="only those with this stage")
    listed.add_argument("--json", action="store_true", help="everything that is known of them, as JSON")
    added = actions.add_parser("add", help="name a checkpoint of a run", allow_abbrev=False)
    added.add_argument("name", metavar="NAME", help="of the model; it gets the next version")
    added.add_argument("run", metavar="RUN", help="folder of a run, its id, or the beginning of its id")
    added.add_argument("--checkpoint", type=Path, metavar="FILE", help="default: the weights that the run saved last")
    added.add_argument("--stage", default=NO_STAGE, metavar="STAGE", help="such as staging (default %(default)s)")
    staged = actions.add_parser("stage", help="give a version another stage", allow_abbrev=False)
    staged.add_argument("name", metavar="NAME")
    staged.add_argument("version", metavar="VERSION")
    staged.add_argument("stage", metavar="STAGE", help="a word, such as staging, production, archived, none")
    for each in (listed, added, staged):
        each.add_argument("--runs-dir", type=Path, default=DEFAULT_RUNS_DIR, metavar="DIR",
            help="where runs are recorded (default %(default)s)")  # fmt: skip
    bare = not arguments or (arguments[0].startswith("-") and arguments[0] not in ("-h", "--help"))
    args = parser.parse_args(["list", *arguments] if bare else arguments)
    if args.action == "add":
        return _add(args)
    if args.action == "stage":
        version = args.version.removeprefix("v")
        if not version.isdigit():
            raise UsageError(f"{args.version!r} is no version of a model: a whole number is wanted")
        found = set_stage(args.runs_dir, args.name, int(version), args.stage)
        print(f"{found.name} v{found.version}: {found.stage}")
        return 0
    return _list(args)


def _add(args: argparse.Namespace) -> int:
    from flightcheck.tracking.checkpoints import version_of

    folder = folder_of(args.run, args.runs_dir)
    made = add_model(args.runs_dir, version_of(args.name, folder, args.checkpoint, args.stage))
    at = f", step {made.step}" if made.step is not None else ""
    print(f"{made.name} v{made.version}: {made.checkpoint} ({made.run}{at}), SHA-256 {made.sha256[:12]}…")
    return 0


def _list(args: argparse.Namespace) -> int:
    found = [
        m for m in reversed(read_models(args.runs_dir)) if args.name in (None, m.name) and args.stage in (None, m.stage)
    ]
    if args.json:
        models = [dataclasses.asdict(m) | {"state": m.state() or "there"} for m in found]
        print(json.dumps({"schema": "flightcheck.models/1", "models": models}, indent=1))
        return 0
    if not found:
        such = " such" if args.name is not None or args.stage is not None else ""
        print(f"no{such} model is registered in {args.runs_dir}; 'flightcheck models add NAME RUN' registers one")
        return 0
    print("\n".join(_table(found, args.runs_dir)))
    return 0


def _table(models: Sequence[ModelVersion], runs_dir: Path) -> list[str]:
    rows = [("model", "version", "stage", "run", "step", "metrics", "checkpoint")]
    for m in models:
        run = m.run if (runs_dir / m.run / RUN_FILE).is_file() else f"{m.run} (not here)"
        state = f" ({m.state()})" if m.state() else ""
        stage = "" if m.stage == NO_STAGE else m.stage
        step = "" if m.step is None else str(m.step)
        rows.append((m.name, f"v{m.version}", stage, run, step, _metrics(m), f"{m.checkpoint}{state}"))
    widths = [max(map(len, column)) for column in zip(*rows)]
    return ["  ".join(f"{cell:<{width}}" for cell, width in zip(row, widths)).rstrip() for row in rows]


def _metrics(m: ModelVersion) -> str:
    """Those of evaluations first."""
    names = sorted(m.metrics, key=lambda n: not is_of_unseen(n.replace("_", " ")))
    return " ".join(f"{name}={m.metrics[name]:.4g}" for name in names[:_METRICS])
