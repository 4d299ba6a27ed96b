# Compiles the check with the code and runs it.
gcc -Wall -o /tmp/check tests/check.c words.c && /tmp/check
