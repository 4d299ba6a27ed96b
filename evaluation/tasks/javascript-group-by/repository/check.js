const assert = require("node:assert");
const { groupBy } = require("./group.js");

assert.deepEqual(groupBy([], (item) => item), {});
assert.deepEqual(groupBy([1, 2, 3], (n) => (n % 2 ? "odd" : "even")), { odd: [1, 3], even: [2] });
console.log("ok");
