from slug import slug

cases = {
    "Much   space": "much-space",
    "  edges  ": "edges",
    "a--b": "a-b",
    "C++ & Rust": "c-rust",
    "": "",
    "2024/05/06": "2024-05-06",
    "!!!": "",
}
for title, expected in cases.items():
    assert slug(title) == expected, (title, slug(title), expected)
