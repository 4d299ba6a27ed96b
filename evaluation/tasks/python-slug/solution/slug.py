import re


def slug(title):
    """Returns the title in lower case with every run of other characters than
    letters and digits as one hyphen, and no hyphen at either end."""
    return re.sub(r"[^a-z0-9]+", "-", title.lower()).strip("-")
