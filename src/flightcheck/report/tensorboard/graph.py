"""The network as TensorBoard draws it: leaf modules, in the order of their first call, inside their containers."""

from __future__ import annotations

import re
from typing import Any, Final

from flightcheck.recording.records import ModuleInfo
from flightcheck.recording.run import Run
from flightcheck.report.terminal import plain

MOST_NODES: Final = 3000
_NOT_IN_A_NAME: Final = re.compile(r"[^A-Za-z0-9_.\-]")


def graph_of(run: Run) -> Any:
    """The ``GraphDef`` of a run, None without a called module.

    Which tensor flows where is not recorded: an edge leads from a leaf to the one that was called after it.
    """
    from tensorboard.compat.proto.graph_pb2 import GraphDef
    from tensorboard.compat.proto.versions_pb2 import VersionDef

    numbers: dict[int, int] = {}
    for p in run.parameters:
        numbers[p.module] = numbers.get(p.module, 0) + p.numel
    called = sorted((m for m in run.modules if m.leaf and m.order >= 0), key=lambda m: (m.root, m.order, m.index))
    names: set[str] = set()
    made: list[Any] = []
    before: tuple[int, str] | None = None
    for m in called[:MOST_NODES]:
        name = _name(m, names)
        inputs = [before[1]] if before is not None and before[0] == m.root else []
        made.append(_node(m, name, inputs, numbers.get(m.index, 0)))
        before = (m.root, name)
    return GraphDef(node=made, versions=VersionDef(producer=22)) if made else None


def _name(m: ModuleInfo, taken: set[str]) -> str:
    """Its path with a slash for each level, in the letters that a graph's names may have."""
    parts = [_NOT_IN_A_NAME.sub("_", plain(part))[:80] for part in m.path.split(".")]
    name = "/".join(p if p[:1].isalnum() else f"m{p}" for p in parts)
    if name in taken:
        name = f"{name}_{m.index}"
    taken.add(name)
    return name


def _node(m: ModuleInfo, name: str, inputs: list[str], parameters: int) -> Any:
    from tensorboard.compat.proto.attr_value_pb2 import AttrValue
    from tensorboard.compat.proto.node_def_pb2 import NodeDef

    facts = {key: plain(str(value))[:200] for key, value in m.settings.items()}
    if parameters:
        facts["parameters"] = f"{parameters:,}"
    if m.location is not None:
        facts["constructed_at"] = plain(str(m.location))
    attributes = {plain(key): AttrValue(s=text.encode("utf-8", "replace")) for key, text in facts.items()}
    return NodeDef(name=name, op=plain(m.type)[:80], input=inputs, attr=attributes)
