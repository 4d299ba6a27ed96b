# Proves lamp.sh.
said=$(sh lamp.sh toggle)
if [ "$said" != "lamp toggled" ]; then
    echo "lamp.sh toggle printed '$said', expected 'lamp toggled'"
    exit 1
fi
