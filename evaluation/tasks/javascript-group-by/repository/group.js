// Returns an object that has, for each key, the items for which keyOf returns it, in their order.
function groupBy(items, keyOf) {
}

module.exports = { groupBy };
