// Returns an object that has, for each key, the items for which keyOf returns it, in their order.
function groupBy(items, keyOf) {
  const groups = {};
  for (const item of items) {
    const key = keyOf(item);
    (groups[key] ??= []).push(item);
  }
  return groups;
}

module.exports = { groupBy };
