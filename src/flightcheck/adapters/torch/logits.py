"""What lies before the softmax or sigmoid that made a prediction: the scores that it was given."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

from flightcheck.adapters.torch.graph import behind_views
from flightcheck.recording.records import Location, ModuleInfo

_OF_SCORES: Final = ("LogSoftmaxBackward", "SoftmaxBackward", "SigmoidBackward", "LogSigmoidBackward")
_SHIFTED: Final = ("AddBackward", "ClampBackward")
"""What keeps a logarithm away from zero."""
_MOST_SHIFTS: Final = 4
LOG_P: Final = "log p"
LOG_OF_REST: Final = "log(1 - p)"


def scores_of(
    made: Any, lines: Mapping[Any, Location], owners: Mapping[Any, int], modules: Mapping[int, ModuleInfo]
) -> dict[str, Any]:
    """The fields ``scores_…`` of a `LossCall`; nothing where no softmax or sigmoid made the prediction.

    Args:
        made: the node that computed the prediction's values.
        lines: of the nodes of this round.
        owners: innermost modules that returned them.
        modules: by their index.
    """
    if made is None or not made.name().startswith(_OF_SCORES) or not made.next_functions:
        return {}
    given = made.next_functions[0][0]
    node = behind_views(given)
    if node is None:
        return {}
    module = modules.get(owners.get(given, owners.get(node, -1)))
    kind = module.type.lower() if module is not None else ""
    alone = kind.startswith("dropout") or (bool(kind) and node.name().lower().startswith(kind))
    return {
        "scores_op": node.name(),
        "scores_type": module.type if module is not None and alone else "",
        "scores_module": module.path if module is not None and alone else "",
        "scores_location": module.location if module is not None and alone else lines.get(node),
    }


def is_log_of_softmax(node: Any) -> bool:
    """It computes ``log(softmax(x))``, perhaps of a little more than that: ``log(softmax(x) + 1e-9)``."""
    if not node.name().startswith("LogBackward"):
        return False
    before = behind_views(node.next_functions[0][0])
    if before is not None and before.name().startswith(_SHIFTED):
        inputs = [n for n, _ in before.next_functions]
        before = behind_views(inputs[0]) if not any(inputs[1:]) else None
    return before is not None and bool(before.name().startswith("SoftmaxBackward"))


def named(node: Any) -> str:
    """The operation that computed a prediction: the logarithm of a softmax is what ``log_softmax`` computes."""
    if node is None:
        return ""
    return "LogSoftmaxBackward0" if is_log_of_softmax(node) else str(node.name())


def part_of_binary(node: Any) -> str:
    """``log p`` for what computes ``log(sigmoid(x))``, ``log(1 - p)`` for ``log(1 - sigmoid(x))``; else nothing."""
    if not node.name().startswith("LogBackward"):
        return ""
    before, turned = behind_views(node.next_functions[0][0]), False
    for _ in range(_MOST_SHIFTS):
        if before is None or not before.name().startswith((*_SHIFTED, "RsubBackward")):
            break
        inputs = [n for n, _ in before.next_functions if n is not None]
        turned |= before.name().startswith("RsubBackward")
        before = behind_views(inputs[0]) if len(inputs) == 1 else None
    if before is None or not before.name().startswith("SigmoidBackward"):
        return ""
    return LOG_OF_REST if turned else LOG_P
