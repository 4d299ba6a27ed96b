# The options alone, together and not at all.
set -e
test "$(python3 words.py a b)" = "a
b"
test "$(python3 words.py --reverse a b c)" = "c
b
a"
test "$(python3 words.py --upper a b)" = "A
B"
test "$(python3 words.py --upper --reverse a b)" = "B
A"
python3 words.py --help | grep -q -- --reverse
