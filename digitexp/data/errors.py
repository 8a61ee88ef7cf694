"""The one error of this package: data that cannot be used, and why."""

from __future__ import annotations

from typing import Self


class DataError(ValueError):
    """Data that cannot be trained on: missing, misnamed, of a wrong form, or unsafe to read."""

    @classmethod
    def about(cls, where: str, *, found: str, expected: str, fix: str = "") -> Self:
        """Build the message every refusal has: what was found, what is expected, how to fix it.

        Args:
            where: Name or path of the source, with the array or file meant.
            found: What is there.
            expected: What would have been accepted.
            fix: What the user can do; may be empty when `expected` says it all.
        """
        message = f"{where}: found {found}; expected {expected}."
        return cls(f"{message} {fix}".rstrip())
