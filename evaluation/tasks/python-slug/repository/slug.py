def slug(title):
    """Returns the title in lower case with every run of other characters than
    letters and digits as one hyphen, and no hyphen at either end."""
    raise NotImplementedError
