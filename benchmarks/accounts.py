"""Why a bar is missed, in words: (suite, row) -> what was tried and what is left.

`benchmarks.report` puts the figures before it, so an account needs none: it says what the time or
the memory goes into, what was tried, and what would be the next thing to try.
"""

from __future__ import annotations

__all__ = ["ACCOUNTS"]

ACCOUNTS: dict[tuple[str, str], str] = {}
