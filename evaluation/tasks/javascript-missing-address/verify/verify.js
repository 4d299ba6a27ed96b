const assert = require("node:assert");
const { label } = require("./label.js");

assert.equal(label({ name: "Cy", address: { city: "Bath" } }), "Cy\nBath");
assert.equal(label({ name: "Di", address: null }), "Di\n(no address)");
assert.equal(label({ name: "Ed", address: undefined }), "Ed\n(no address)");
assert.equal(label({ name: "Fay", address: { street: "Mill 2", city: "Hull" } }), "Fay\nMill 2, Hull");
