from duration import parse_duration

good = {"1s": 1, "10m": 600, "1h1m1s": 3661, "3h5s": 10805, "0m": 0, "100h": 360000, "07m": 420}
for text, seconds in good.items():
    assert parse_duration(text) == seconds, (text, parse_duration(text))
for bad in ("", " ", "5", "m", "1h30", "h1", "1 h", "-1h", "1.5h", "1d", "1hm"):
    try:
        value = parse_duration(bad)
    except ValueError:
        continue
    raise AssertionError((bad, value))
