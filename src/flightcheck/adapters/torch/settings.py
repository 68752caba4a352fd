"""Settings that a script declares: what its parser of arguments returned, its configurations. They are only read."""

from __future__ import annotations

import dataclasses
import re
import sys
import weakref
from collections.abc import Iterator, Mapping
from contextlib import suppress
from pathlib import Path
from typing import Any, Final

from flightcheck.adapters.torch.watch import Watch
from flightcheck.recording.provenance.settings import declared_at, is_taken
from flightcheck.recording.surroundings import Setting

NAMES: Final = {
    "lr": "lr", "learning_rate": "lr", "batch_size": "batch_size", "train_batch_size": "batch_size",
    "weight_decay": "weight_decay", "wd": "weight_decay", "momentum": "momentum", "dropout": "dropout",
    "dropout_rate": "dropout", "epochs": "epochs", "num_epochs": "epochs", "n_epochs": "epochs", "max_epochs": "epochs",
}  # fmt: skip
"""Names under which settings are declared, and what each of them sets."""
_CONFIGURATION: Final = re.compile(r"(cfg|conf|config|hparams?|hyper\w*|params|settings|args|opts?|options)$", re.I)
_MOST_FILES: Final = 32
_MOST_PARSED: Final = 8


class Settings:
    """The numbers that a script declares for its training."""

    def __init__(self, watch: Watch) -> None:
        self.watch = watch
        self._parsed: list[tuple[weakref.ref[Any], dict[str, Any]]] = []

    def parsed(self, namespace: Any) -> None:
        """A parser of arguments returned: what it made of them, before the script changes any of it."""
        if len(self._parsed) < _MOST_PARSED:
            with suppress(TypeError):  # an object of the script's own, without attributes or not to be held weakly
                self._parsed.append((weakref.ref(namespace), _settings(_attributes(namespace))))

    def save(self) -> None:
        """Write what the script declares and, as it stands now, did not change by itself."""
        files = self._files()
        declared = list(self._declared())
        # Declared twice, with two values: which of them counts is not known.
        names = {name for _, values in declared for name in values}
        for index, name in enumerate(sorted(names)):
            where = [(kind, values[name]) for kind, values in declared if name in values]
            if len({value for _, value in where}) > 1:
                continue
            kind, value = where[0]
            place = declared_at(files, name, kind)
            setting = Setting(
                name, NAMES[name.lower()], float(value), kind,
                location=self.watch.lines.of(*place) if place is not None else None,
                taken=len(files) > _MOST_FILES or is_taken(files, name),
            )  # fmt: skip
            self.watch.writer.put(setting, index)

    def _declared(self) -> Iterator[tuple[str, dict[str, Any]]]:
        for ref, values in self._parsed:
            now = ref()
            held = _settings(_attributes(now)) if now is not None else values
            yield "argparse", {k: v for k, v in values.items() if held.get(k) == v}
        main = sys.modules.get("__main__")
        for name, value in list(vars(main).items()) if main is not None else ():
            if type(value) is dict and _CONFIGURATION.search(name):
                yield "dict", _settings(value)
            elif dataclasses.is_dataclass(type(value)) and not isinstance(value, type):
                yield "dataclass", _settings(_attributes(value))

    def _files(self) -> list[str]:
        """The files of the script and of the modules that are its own."""
        found = (getattr(m, "__file__", None) for m in list(sys.modules.values()))
        own = {f for f in found if isinstance(f, str) and f.endswith(".py") and self.watch.lines.is_user(f)}
        return sorted(f for f in own if Path(f).is_absolute())  # of thousands of modules that would be slow


def _attributes(thing: Any) -> dict[str, Any]:
    """The attributes that an object holds; no code of its class runs."""
    try:
        held: dict[str, Any] = object.__getattribute__(thing, "__dict__")
    except AttributeError:
        return {}
    return held if type(held) is dict else {}


def _settings(values: Mapping[Any, Any]) -> dict[str, Any]:
    return {
        k: v for k, v in list(values.items())
        if type(k) is str and k.lower() in NAMES and type(v) in (int, float)
    }  # fmt: skip
