"""Other libraries, as contestants of the same kind."""


def players(folder):
    return []
