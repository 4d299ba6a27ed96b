from pages import page, page_count

assert page([1, 2, 3], 2, 2) == [3]
assert page_count(10, 5) == 2, page_count(10, 5)
assert page_count(11, 5) == 3, f"11 items on pages of 5: {page_count(11, 5)} pages, expected 3"
print("ok")
