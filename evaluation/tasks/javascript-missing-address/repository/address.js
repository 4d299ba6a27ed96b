function oneLine(address) {
  return [address.street, address.city].filter(Boolean).join(", ");
}

module.exports = { oneLine };
