import units

assert round(units.miles_to_kilometres(10), 4) == 16.0934
assert round(units.celsius_to_kelvin(20), 2) == 293.15
actual = units.knots_to_kilometres_per_hour(10)
assert round(actual, 4) == 18.52, f"10 knots are {actual} km/h, expected 18.52"
print("ok")
