#!/bin/sh
# Switches the lamp.
case "$1" in
    on)
        echo "lamp on"
        ;;
    off)
        echo "lamp off"
        ;;
    *)
        echo "usage: lamp.sh on|off" >&2
        exit 2
        ;;
esac
