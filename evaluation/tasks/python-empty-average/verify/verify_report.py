from report import line, report
from statistics_of import average, spread

assert average([]) == 0
assert average([4]) == 4
assert average([1, 2]) == 1.5
assert spread([]) == 0
assert spread([5, 1]) == 4
assert report({}) == ""
assert line("x", [10.0, 20.0, 30.0]) == "x: average 20.0, spread 20.0"
