"""One family of errors. Each message says what was found, where, what was expected, and what to do."""


class LisError(Exception):
    """A problem that its message explains; shown to the user without a stack trace."""


class InputError(LisError):
    """Something that came from outside (frames, scribbles, parameters) cannot be used as it is."""


class WeightsError(LisError):
    """A checkpoint is missing, damaged, or belongs to another network."""


class StageError(LisError):
    """A stage could not do or publish its work (disk full, busy sequence, inconsistent upstream)."""
