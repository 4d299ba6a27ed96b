const assert = require("node:assert");
const { groupBy } = require("./group.js");

const words = ["pear", "plum", "apple", "fig", "peach"];
assert.deepEqual({ ...groupBy(words, (word) => word[0]) }, { p: ["pear", "plum", "peach"], a: ["apple"], f: ["fig"] });
assert.deepEqual({ ...groupBy(words, (word) => word.length) }, { 3: ["fig"], 4: ["pear", "plum"], 5: ["apple", "peach"] });
assert.deepEqual(words, ["pear", "plum", "apple", "fig", "peach"]);
