import billing
import shop

assert billing.order_total([1, 2]) == 3
assert billing.order_total([10], discount=50) == 5
assert billing.calculation_note([1.5]) == "1 prices, 1.5 in all"
cart = shop.Cart()
cart.add(4.0)
assert cart.total() == 4.0
assert not hasattr(shop, "calc")
