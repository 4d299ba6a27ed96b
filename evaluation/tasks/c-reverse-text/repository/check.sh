# Compiles the check with the code and runs it.
gcc -Wall -o /tmp/check tests/check.c text.c && /tmp/check
