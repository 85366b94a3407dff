"""The one exception that means: the input is at fault, not the program."""

from __future__ import annotations


class UserError(Exception):
    """A mistake the user can mend: one line that says what, where and what to do.

    The command line prints it without a traceback and exits with 1.
    """


class ToBeContinued(Exception):
    """The work was told to leave, and has kept what it had: the same command goes on from there.

    The command line prints it and exits with `CODE`, that of a temporary failure in `sysexits.h`,
    so that who started the work can tell it from a fault and start it again.
    """

    CODE = 75
