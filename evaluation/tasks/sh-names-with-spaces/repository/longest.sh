#!/bin/sh
# Prints the name of the file with the most lines among those given.
most=-1
name=
for file in $*; do
    lines=$(wc -l < $file)
    if [ "$lines" -gt "$most" ]; then
        most=$lines
        name=$file
    fi
done
echo "$name"
