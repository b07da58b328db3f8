"""Errors that a user can act on: what is wrong, where, and what to do."""

import errno


class GeldspurError(Exception):
    """Something in the data or the machine stops the work; the command ends with exit code 1."""

    exit_code = 1

    def __init__(self, what: str, *, where: str | None = None, todo: str | None = None) -> None:
        self.what = what
        self.where = where
        self.todo = todo
        super().__init__(". ".join(part.rstrip(".") for part in (what, where, todo) if part))

    def as_dict(self) -> dict[str, str | None]:
        """The same three answers for a program."""
        return {"error": self.what, "where": self.where, "todo": self.todo}


def disk_todo(error: OSError, *, then: str) -> str:
    """What to do where the disk refuses to write; `then` is what follows once there is room."""
    if error.errno in (errno.ENOSPC, errno.EDQUOT):
        return f"free some space and {then}"
    return "may you write there? Choose another place, or mend this one"


class UsageError(GeldspurError):
    """The command was asked for something that can't be done as asked; exit code 2."""

    exit_code = 2
