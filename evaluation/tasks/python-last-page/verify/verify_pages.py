from pages import page, page_count

for items in range(0, 60):
    for per_page in range(1, 13):
        count = page_count(items, per_page)
        pages = [page(list(range(items)), number, per_page) for number in range(1, count + 1)]
        assert all(pages), (items, per_page, count)
        assert sum(pages, []) == list(range(items)), (items, per_page, count)
