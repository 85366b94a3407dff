"""The one exception that means: the input is at fault, not the program."""

from __future__ import annotations


class UserError(Exception):
    """A mistake the user can mend: one line that says what, where and what to do.

    The command line prints it without a traceback and exits with 1.
    """
