# The old behaviour; without the argument the usage alone, on standard error alone.
set -e
test "$(sh double.sh 21)" = 42
test "$(sh double.sh 0)" = 0
test "$(sh double.sh -5)" = -10
code=0
output=$(sh double.sh 2> /tmp/usage) || code=$?
test "$code" = 2
test -z "$output"
test "$(cat /tmp/usage)" = "usage: double.sh NUMBER"
