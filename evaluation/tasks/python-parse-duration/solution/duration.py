import re

UNITS = {"h": 3600, "m": 60, "s": 1}


def parse_duration(text):
    """Returns the seconds that a text such as 1h30m means.

    A number stands before each unit; h, m and s come in this order, each at most once."""
    match = re.fullmatch(r"(?:(\d+)h)?(?:(\d+)m)?(?:(\d+)s)?", text)
    if not text or not match:
        raise ValueError(f"{text!r} is no duration")
    return sum(int(count or 0) * unit for count, unit in zip(match.groups(), UNITS.values()))
