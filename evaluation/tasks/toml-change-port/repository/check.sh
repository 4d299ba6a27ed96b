# Looks at the first port of the [server] table.
port=$(sed -n '/^\[server\]/,/^\[metrics\]/p' settings.toml | sed -n 's/^port *= *//p')
if [ "$port" != 9090 ]; then
    echo "server.port is '$port', expected 9090"
    exit 1
fi
