# Looks for the version.
grep -q 1.4.0 VERSION || { echo "VERSION does not hold 1.4.0"; exit 1; }
