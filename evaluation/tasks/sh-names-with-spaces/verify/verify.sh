# Several spaces, a leading dash in a folder's name, a star, and one file alone.
set -e
folder=$(mktemp -d)
mkdir "$folder/two  spaces"
printf 'a\nb\n' > "$folder/two  spaces/x y"
printf 'a\n' > "$folder/*"
printf '' > "$folder/empty"
test "$(sh longest.sh "$folder/*" "$folder/two  spaces/x y" "$folder/empty")" = "$folder/two  spaces/x y"
test "$(sh longest.sh "$folder/*")" = "$folder/*"
test "$(sh longest.sh "$folder/empty" "$folder/*")" = "$folder/*"
