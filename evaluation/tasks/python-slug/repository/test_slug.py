from slug import slug

assert slug("Hello World") == "hello-world", slug("Hello World")
assert slug("What now?") == "what-now", slug("What now?")
assert slug("Release 1.0") == "release-1-0", slug("Release 1.0")
print("ok")
