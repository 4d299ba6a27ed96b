# Proves double.sh without an argument.
said=$(sh double.sh 2>&1 > /dev/null)
code=$?
if [ "$code" != 2 ] || [ "$said" != "usage: double.sh NUMBER" ]; then
    echo "double.sh without an argument: exit code $code, expected 2"
    echo "standard error: '$said', expected 'usage: double.sh NUMBER'"
    exit 1
fi
