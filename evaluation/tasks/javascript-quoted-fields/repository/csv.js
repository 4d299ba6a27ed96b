// Returns the fields of a line of comma-separated values.
function parseLine(line) {
  return line.split(",");
}

module.exports = { parseLine };
