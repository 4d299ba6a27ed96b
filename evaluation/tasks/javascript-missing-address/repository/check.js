const assert = require("node:assert");
const { label } = require("./label.js");

assert.equal(label({ name: "Ada", address: { street: "Quay 1", city: "Cork" } }), "Ada\nQuay 1, Cork");
assert.equal(label({ name: "Bo" }), "Bo\n(no address)");
console.log("ok");
