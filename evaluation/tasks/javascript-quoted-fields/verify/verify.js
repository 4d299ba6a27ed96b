const assert = require("node:assert");
const { parseLine } = require("./csv.js");

const cases = [
  ["", [""]],
  [",", ["", ""]],
  ["a,,b", ["a", "", "b"]],
  ['"",x', ["", "x"]],
  ['"a,b","c,d"', ["a,b", "c,d"]],
  ['x,""""', ["x", '"']],
  ['"one","two ""2""",three', ["one", 'two "2"', "three"]],
];
for (const [line, fields] of cases) {
  assert.deepEqual(parseLine(line), fields, line);
}
