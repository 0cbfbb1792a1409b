"""Who takes part, and in what."""
from rig import Failed


class Player:
    """Somebody who takes part: a program, and how it is to be started."""

    def __init__(self, name, command, unprivileged=False, configures=False,
                 words=()):
        self.name = name
        self.command = command
        self.words = list(words)        # more arguments
        self.unprivileged = unprivileged
        self.configures = configures    # its devices are ready when it is


def own_players(build):
    return [
        Player("ours", [f"{build}/tests/bench/ours"], unprivileged=True,
               configures=True),
        Player("raw", [f"{build}/tests/bench/raw"]),
    ]


def without_thread(player):
    """The same without a thread of the library's."""
    return Player(f"{player.name}-alone", player.command, player.unprivileged,
                  player.configures, ["alone=1"])


def with_rings(player):
    """The same with batches by io_uring."""
    return Player(f"{player.name}-uring", player.command, player.unprivileged,
                  player.configures, ["uring=1"])


class Workload:
    """name, unit, lower_is_better, settings; begin() and end().

    rounds_most, unless None: of one whose rounds take long.

    begin(build, players, blink) returns two dictionaries: of whom takes part
    a function that plays a round and returns its value, and of whom does not,
    why.  blink: rounds as short as can be.
    """

    rounds_most = None

    def each(self, players, start, mode=None):
        """start(player) for each of them; what begin() returns."""
        plays, not_run = {}, {}
        for player in players:
            label = f"{player.name} {mode}" if mode else player.name
            try:
                plays[label] = start(player)
            except Failed as failed:
                not_run[label] = str(failed)
        return plays, not_run

    def also(self, value):
        """What the text says of a value besides."""
        return ""
