"""What the rounds say: medians, ratios, spread; as text, JSON, Markdown, SVG."""
import html
import json
import statistics


def median(values):
    return statistics.median(values)


def quartiles(values):
    """The first and the third; of few values the least and the most."""
    if len(values) < 4:
        return min(values), max(values)
    low, _, high = statistics.quantiles(values, n=4)
    return low, high


LIMITS = ("raw", "veth")        # what nobody is faster than, or hardly


def who(label):
    """"ours" of "ours split", and of "ours-alone"."""
    return label.split()[0].removesuffix("-alone")


class Result:
    """A workload's rounds: {label: [value of each round]}.

    A label is a contestant, and the mode if there are several: "raw split".
    """

    def __init__(self, workload, rounds, not_run):
        self.workload = workload
        self.rounds = rounds
        self.not_run = not_run  # {label: why}

    def ratio(self, one, other):
        """How many times as good the one is: more is better, always."""
        a, b = median(self.rounds[one]), median(self.rounds[other])
        if a == b:
            return 1.0
        if not a or not b:
            return 0.0
        return b / a if self.workload.lower_is_better else a / b

    def spread(self, one):
        """Between the quartiles, in parts of the median."""
        low, high = quartiles(self.rounds[one])
        middle = median(self.rounds[one])
        return (high - low) / middle if middle else 0.0

    def beside(self, label):
        """With whom it is compared: ours with the limits, others with ours."""
        mode = label.split()[1:]
        if who(label) == "ours":
            # By ttd_connect() super-packets go as they come.
            same = ["pass"] if mode == ["connect"] else mode
            return [other for other in self.rounds if who(other) == "veth" or
                    who(other) == "raw" and
                    (not mode or other.split()[1:] == same)]
        if who(label) in LIMITS:
            return []
        # A peer's name may have several words, the mode is the last one.
        own = " ".join(["ours", *mode[-1:]])
        return [each for each in (own, "ours") if each in self.rounds][:1]

    def reference(self):
        """What is 1 in the plot."""
        for limit in reversed(LIMITS):
            for label in self.rounds:
                if who(label) == limit:
                    return label
        return next(iter(self.rounds), None)

    def text(self):
        w = self.workload
        lines = [f"\n{w.name}   ({w.unit}; {w.settings})"]
        for label, values in self.rounds.items():
            line = (f"    {label:24} {median(values):12.5g}"
                    f"  spread {self.spread(label):6.1%}"
                    f"{w.also(median(values))}")
            for other in self.beside(label):
                if who(label) == "ours":
                    line += f"  {self.ratio(label, other):.3f} of {other}"
                else:
                    line += f"  {other} is {self.ratio(other, label):.2f} of it"
            lines.append(line)
        lines += [f"    {label:24} not run: {why}"
                  for label, why in self.not_run.items()]
        return "\n".join(lines)

    def data(self):
        w = self.workload
        return {"workload": w.name, "unit": w.unit, "settings": w.settings,
                "lower_is_better": w.lower_is_better, "rounds": self.rounds,
                "median": {label: median(values)
                           for label, values in self.rounds.items()},
                "not_run": self.not_run}


def write_json(path, head, results):
    with open(path, "w", encoding="utf-8") as file:
        json.dump({**head, "results": [r.data() for r in results]}, file,
                  indent=1)
        file.write("\n")


def write_markdown(path, head, results):
    """A table: how many times as good as the limits, and as the peers."""
    lines = [f"{head['date']}, Linux {head['kernel']}, "
             f"{head['processors']} processors: `{head['command']}`", "",
             "| workload | who | median | beside |", "|---|---|---|---|"]
    for result in results:
        for label, values in result.rounds.items():
            ratios = ", ".join(
                f"{result.ratio(label, other):.2f} of {other}"
                for other in result.beside(label))
            lines.append(f"| {result.workload.name} | {label} | "
                         f"{median(values):.4g} {result.workload.unit} | "
                         f"{ratios} |")
        lines += [f"| {result.workload.name} | {label} | not run | {why} |"
                  for label, why in result.not_run.items()]
    with open(path, "w", encoding="utf-8") as file:
        file.write("\n".join(lines) + "\n")


# --- the plot ---------------------------------------------------------------

WIDTH, LEFT, RIGHT, BAR, GAP, TOP = 760, 190, 60, 15, 22, 56
COLOURS = {"ours": "#1f6f8b", "raw": "#8a8a8a", "veth": "#c4c4c4"}
PEER_COLOUR = "#d08c60"


def bar(y, label, ratio, scale):
    colour = COLOURS.get(who(label), PEER_COLOUR)
    return (f'<text x="{LEFT - 8}" y="{y + BAR - 3}" text-anchor="end">'
            f'{html.escape(label)}</text><rect x="{LEFT}" y="{y}" '
            f'width="{max(ratio * scale, 1):.1f}" height="{BAR - 2}" '
            f'fill="{colour}"/><text x="{LEFT + ratio * scale + 5:.1f}" '
            f'y="{y + BAR - 3}">{ratio:.2f}</text>')


def write_svg(path, head, results):
    """Bars: how many times as good as the workload's limit each one is."""
    shown = [r for r in results if r.reference()]
    y, body = TOP, []
    for result in shown:
        reference = result.reference()
        ratios = {label: result.ratio(label, reference)
                  for label in result.rounds}
        scale = (WIDTH - LEFT - RIGHT) / max([*ratios.values(), 1.0])
        body.append(f'<text x="10" y="{y}" font-weight="bold">'
                    f'{html.escape(result.workload.name)} (1 = '
                    f'{html.escape(reference)}; longer is better)</text>')
        y += 6
        for label, ratio in ratios.items():
            body.append(bar(y, label, ratio, scale))
            y += BAR
        y += GAP
    title = (f"tuntapd beside others: {head['date']}, Linux {head['kernel']},"
             f" {head['processors']} processors")
    with open(path, "w", encoding="utf-8") as file:
        file.write(
            f'<svg xmlns="http://www.w3.org/2000/svg" width="{WIDTH}" '
            f'height="{y}" viewBox="0 0 {WIDTH} {y}" font-family="sans-serif"'
            ' font-size="11">\n<rect width="100%" height="100%" '
            f'fill="#ffffff"/>\n<text x="10" y="22" font-size="14">'
            f'{html.escape(title)}</text>\n' + "\n".join(body) + "\n</svg>\n")
