# Every command, the new one too, and what is no command.
set -e
test "$(sh lamp.sh on)" = "lamp on"
test "$(sh lamp.sh off)" = "lamp off"
test "$(sh lamp.sh toggle)" = "lamp toggled"
sh lamp.sh toggle > /dev/null
code=0
sh lamp.sh dim 2> /dev/null || code=$?
test "$code" = 2
