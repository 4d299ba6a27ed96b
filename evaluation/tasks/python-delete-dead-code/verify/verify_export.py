import export

assert export.export_csv([]) == ""
assert export.export_csv([("a", "b"), (1, 2)]) == '"a","b"\n"1","2"'
assert export.export_json([]) == "[]"
assert export.quote('say "x"') == '"say ""x"""'
names = {name for name in vars(export) if not name.startswith("_")}
assert names == {"json", "quote", "export_csv", "export_json"}, names
