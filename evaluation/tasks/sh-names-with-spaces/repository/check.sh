# Proves longest.sh on names with and without spaces.
folder=$(mktemp -d)
printf 'a\nb\nc\n' > "$folder/ship log"
printf 'a\n' > "$folder/short"
said=$(sh longest.sh "$folder/short" "$folder/ship log")
if [ "$said" != "$folder/ship log" ]; then
    echo "longest.sh printed '$said', expected '$folder/ship log'"
    exit 1
fi
