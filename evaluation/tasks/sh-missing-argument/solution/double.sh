#!/bin/sh
# Prints twice the number.
if [ $# -eq 0 ]; then
    echo "usage: double.sh NUMBER" >&2
    exit 2
fi
echo $(($1 * 2))
