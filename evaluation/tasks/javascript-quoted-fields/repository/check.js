const assert = require("node:assert");
const { parseLine } = require("./csv.js");

assert.deepEqual(parseLine("a,b,c"), ["a", "b", "c"]);
assert.deepEqual(parseLine('1,"Quay 1, Cork",x'), ["1", "Quay 1, Cork", "x"]);
assert.deepEqual(parseLine('"say ""hi""",2'), ['say "hi"', "2"]);
console.log("ok");
