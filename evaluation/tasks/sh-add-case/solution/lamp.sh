#!/bin/sh
# Switches the lamp.
case "$1" in
    on)
        echo "lamp on"
        ;;
    off)
        echo "lamp off"
        ;;
    toggle)
        echo "lamp toggled"
        ;;
    *)
        echo "usage: lamp.sh on|off|toggle" >&2
        exit 2
        ;;
esac
