"""Reading Prometheus text, strictly enough to notice when it is wrong."""

import re

SAMPLE = re.compile(r'^([a-zA-Z_:][a-zA-Z0-9_:]*)(?:\{(.*)\})? (\S+)$')
LABEL = re.compile(r'([a-zA-Z_][a-zA-Z0-9_]*)="((?:[^"\\]|\\.)*)"(?:,|$)')


class Metrics:
    def __init__(self, text):
        self.text = text
        self.samples = []  # (name, labels, value)
        self.types = {}
        for line in text.splitlines():
            if line.startswith("# TYPE "):
                _, _, name, kind = line.split(" ")
                assert name not in self.types, f"two TYPE lines for {name}"
                self.types[name] = kind
            elif line and not line.startswith("#"):
                found = SAMPLE.match(line)
                assert found, f"not a sample: {line!r}"
                labels = dict(LABEL.findall(found[2] or ""))
                self.samples.append((found[1], labels, float(found[3])))

    def all(self, name, **wanted):
        """Every (labels, value) of a metric whose labels include `wanted`."""
        return [(labels, value) for sample, labels, value in self.samples
                if sample == name and all(labels.get(key) == text for key, text in wanted.items())]

    def sum(self, name, **wanted):
        return sum(value for _, value in self.all(name, **wanted))

    def value(self, name, **wanted):
        """The one sample that fits."""
        found = self.all(name, **wanted)
        assert len(found) == 1, f"{len(found)} samples of {name} with {wanted}: {found}"
        return found[0][1]
