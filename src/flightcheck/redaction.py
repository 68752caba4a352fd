"""Takes secrets out of what is recorded: of command lines, and of source code."""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Final

HIDDEN: Final = "***"
_SECRET_NAME: Final = re.compile(
    r"(^|[-_.])(api[-_]?key|access[-_]?key|key|token|secret|password|passwd|pwd|credentials?|auth)s?$", re.IGNORECASE
)
_TOKEN: Final = re.compile(
    r"^(hf_\w{16,}|sk-[\w-]{16,}|gh[pousr]_\w{16,}|github_pat_\w{16,}|AKIA[0-9A-Z]{16}|xox[abp]-[\w-]{10,}|glpat-[\w-]{16,}"
    r"|eyJ[\w-]{10,}\.[\w-]{10,}\.[\w-]*|[0-9a-f]{40})$"
)
"""Access tokens of known services, JSON web tokens, and 40 hexadecimal digits (an API key of wandb, say)."""
_TOKEN_INSIDE: Final = re.compile(rf"(?<![\w-])(?:{_TOKEN.pattern[1:-1]})(?![\w-])")
_SECRET_VALUE: Final = re.compile(
    r"""(?P<before>(?:\b|_)(?:api[-_]?key|access[-_]?key|key|token|secret|password|passwd|pwd|credentials?|auth)s?["']?\]?"""
    r"""\s*[=:]\s*(?P<quote>["']))[\w./+=-]{8,}(?P=quote)""",
    re.IGNORECASE,
)
"""A text of eight characters or more, without spaces, that is given to a name of a secret."""
_URL_PASSWORD: Final = re.compile(r"(?<=://)([^/@\s:]+):[^/@\s]+(?=@)")


def redacted(arguments: Sequence[str]) -> list[str]:
    """The arguments with the values of secrets replaced: by the name of the option, or by the look of the value."""
    result: list[str] = []
    hide_next = False
    for argument in arguments:
        name, equals, value = argument.partition("=")
        if hide_next and not argument.startswith("--"):
            result.append(HIDDEN)
        elif equals and _SECRET_NAME.search(name.lstrip("-+")):
            result.append(f"{name}={HIDDEN}")
        elif _TOKEN.match(value if equals else argument):
            result.append(f"{name}={HIDDEN}" if equals else HIDDEN)
        else:
            result.append(_URL_PASSWORD.sub(rf"\1:{HIDDEN}", argument))
        hide_next = argument.startswith("-") and not equals and bool(_SECRET_NAME.search(argument.lstrip("-")))
    return result


def redacted_text(text: str) -> str:
    """A text, of source code for example, with the values of secrets replaced; every line keeps its place."""
    text = _TOKEN_INSIDE.sub(HIDDEN, _URL_PASSWORD.sub(rf"\1:{HIDDEN}", text))
    return _SECRET_VALUE.sub(rf"\g<before>{HIDDEN}\g<quote>", text)
