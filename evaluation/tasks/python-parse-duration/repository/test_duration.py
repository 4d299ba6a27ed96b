from duration import parse_duration

assert parse_duration("45s") == 45, parse_duration("45s")
assert parse_duration("1h30m") == 5400, parse_duration("1h30m")
assert parse_duration("2h") == 7200, parse_duration("2h")
for bad in ("", "h", "12", "1x"):
    try:
        parse_duration(bad)
    except ValueError:
        continue
    raise AssertionError(f"{bad!r} should raise ValueError")
print("ok")
