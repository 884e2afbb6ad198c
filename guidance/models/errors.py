"""What can go wrong with a network, in a sentence for the user."""


class ModelError(RuntimeError):
    """A network cannot be had; the message is one sentence for the user and names no path."""
