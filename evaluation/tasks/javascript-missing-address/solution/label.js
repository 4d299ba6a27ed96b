const { oneLine } = require("./address.js");

function label(customer) {
  const address = customer.address ? oneLine(customer.address) : "(no address)";
  return `${customer.name}\n${address}`;
}

module.exports = { label };
