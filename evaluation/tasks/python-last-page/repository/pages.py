def page_count(items, per_page):
    """Returns how many pages are needed to show so many items."""
    return items // per_page


def page(items, number, per_page):
    """Returns the items of a page; the first page has number 1."""
    begin = (number - 1) * per_page
    return items[begin:begin + per_page]
