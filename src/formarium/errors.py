"""Errors whose message is meant for the person at the keyboard: a command prints it and ends with status 2."""


class FormariumError(Exception):
    """Something that the user can mend; the message says what and how, in one paragraph."""


class DataError(FormariumError):
    """Data that cannot be used as asked: missing, empty, too short, unreadable, of another shape."""


class CheckpointError(FormariumError):
    """Weights that cannot be loaded: absent, truncated, or of another model."""


class Diverged(FormariumError):
    """Training met a loss that is not a number; ``step`` is where."""

    def __init__(self, message: str, step: int) -> None:
        super().__init__(message)
        self.step = step

    def __reduce__(self) -> tuple[type["Diverged"], tuple[str, int]]:
        return type(self), (str(self), self.step)
