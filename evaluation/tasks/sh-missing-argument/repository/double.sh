#!/bin/sh
# Prints twice the number.
echo $(($1 * 2))
