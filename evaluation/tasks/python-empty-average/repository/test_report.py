from report import report

said = report({"north": [1.0, 3.0], "south": []})
expected = "north: average 2.0, spread 2.0\nsouth: average 0.0, spread 0.0"
assert said == expected, said
print("ok")
