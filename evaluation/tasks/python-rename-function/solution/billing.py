def order_total(prices, discount=0):
    """Returns the sum of the prices, less the discount in percent."""
    return round(sum(prices) * (100 - discount) / 100, 2)


def calculation_note(prices):
    return f"{len(prices)} prices, {order_total(prices)} in all"
