"""Takes secrets out of what is recorded of a command line and of source code, and out of lines that are shown."""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Final

HIDDEN: Final = "***"
_SECRET_NAME: Final = re.compile(
    r"(^|[-_.])(api[-_]?key|access[-_]?key|key|token|secret|password|passwd|pwd|credentials?|auth)s?$", re.IGNORECASE
)
_TOKENS: Final = (
    r"hf_\w{16,}|sk-[\w-]{16,}|gh[pousr]_\w{16,}|github_pat_\w{16,}|AKIA[0-9A-Z]{16}|xox[abp]-[\w-]{10,}|glpat-[\w-]{16,}"
    r"|eyJ[\w-]{10,}\.[\w-]{10,}\.[\w-]*|[0-9a-f]{40}"
)
_TOKEN: Final = re.compile(rf"^({_TOKENS})$")
"""Access tokens of known services, JSON web tokens, and 40 hexadecimal digits (an API key of wandb, say)."""
_TOKEN_IN_CODE: Final = re.compile(rf"(?<![\w-])({_TOKENS})(?![\w-])")
_SECRET_IN_CODE: Final = re.compile(
    r"((?:\b|_)(?:api_?key|access_?key|key|token|secret|password|passwd|pwd|credentials?|auth)s?[\"']?\]?\s*[=:]\s*)"
    r"([rbuf]{0,2}([\"'])).+?\3", re.IGNORECASE,
)  # fmt: skip
"""A text that is given to a name of a secret: ``login(key="…")``, ``os.environ["API_KEY"] = "…"``."""
_SECRET_VALUE: Final = re.compile(
    r"""(?P<before>(?:\b|_)(?:api[-_]?key|access[-_]?key|key|token|secret|password|passwd|pwd|credentials?|auth)s?["']?\]?"""
    r"""\s*[=:]\s*(?P<quote>["']))[\w./+=-]{8,}(?P=quote)""",
    re.IGNORECASE,
)
"""A text of eight characters or more, without spaces, that is given to a name of a secret."""
_SECRET_PRINTED: Final = re.compile(
    r"((?:\b|_)(?:api[-_]?key|(?:access|auth|secret)[-_]?(?:key|token)|secret|password|passwd|credentials?)s?[\"']?"
    r"[ \t]*[=:][ \t]*|\bBearer[ \t]+)[^\s\"',;)}\]]{4,}",
    re.IGNORECASE,
)
"""What a program prints after a name of a secret, without quotation marks; ``tokens: 4096`` is none."""
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


def redacted_code(line: str) -> str:
    """A line of source to be shown: nothing that is given to a name of a secret."""
    line = _SECRET_IN_CODE.sub(rf"\1\g<2>{HIDDEN}\3", line)
    return _URL_PASSWORD.sub(rf"\1:{HIDDEN}", _TOKEN_IN_CODE.sub(HIDDEN, line))


def redacted_text(text: str) -> str:
    """Source code to be kept: what looks like a secret replaced, and all else as it was (``pad_token = "<pad>"``)."""
    text = _TOKEN_IN_CODE.sub(HIDDEN, _URL_PASSWORD.sub(rf"\1:{HIDDEN}", text))
    return _SECRET_VALUE.sub(rf"\g<before>{HIDDEN}\g<quote>", text)


def redacted_output(text: str) -> str:
    """Lines that a program printed: what looks like a secret replaced. There are as many lines as before."""
    return _SECRET_PRINTED.sub(rf"\1{HIDDEN}", redacted_text(text))
