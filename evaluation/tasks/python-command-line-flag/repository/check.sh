# Proves words.py.
said=$(python3 words.py --reverse one two three | tr '\n' ' ')
if [ "$said" != "three two one " ]; then
    echo "words.py --reverse one two three printed '$said', expected 'three two one '"
    exit 1
fi
