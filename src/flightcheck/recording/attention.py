"""Records of the masks that attention was given."""

from __future__ import annotations

from flightcheck.frozen import frozen
from flightcheck.recording.records import RECORDS, Location


@frozen
class AttentionMask:
    """One mask of one line, over the calls that were looked at."""

    function: str
    """multi_head_attention_forward (of `nn.MultiheadAttention`), scaled_dot_product_attention or masked_fill."""
    argument: str
    """attn_mask, key_padding_mask or mask."""
    location: Location | None
    calls: int = 0
    without_self: int = 0
    """Calls in which no position could attend to itself, and the mask blocked others, but not all of them."""
    padding_known: int = 0
    """Calls in which the blocked and the open keys are told apart by the token ids: one side holds one id only, at the
    end or at the beginning of each row, and the other side never."""
    padding_open: int = 0
    """Those of them in which the open keys are the padding."""


@frozen
class WeakFill:
    """A line that fills masked scores with a number which leaves them a weight in the softmax behind it."""

    location: Location
    value: float
    step: int = 0
    calls: int = 0
    """Calls in which the mask chose some scores, and not all."""
    reached: int = 0
    """Softmaxes that were given what the line filled, as it was."""
    share: float = 0.0
    """Share of the scores that the mask chose, in the last call."""


RECORDS[AttentionMask.__name__] = AttentionMask
RECORDS[WeakFill.__name__] = WeakFill
