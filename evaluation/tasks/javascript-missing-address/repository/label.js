const { oneLine } = require("./address.js");

function label(customer) {
  return `${customer.name}\n${oneLine(customer.address)}`;
}

module.exports = { label };
