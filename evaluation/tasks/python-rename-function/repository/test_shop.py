import billing
from shop import Cart

assert hasattr(billing, "order_total"), "billing has no function order_total"
assert not hasattr(billing, "calc"), "billing still has the function calc"
cart = Cart()
for price in (1.0, 2.0, 3.0):
    cart.add(price)
assert cart.total() == 5.4, cart.total()
assert cart.note() == "3 prices, 6.0 in all", cart.note()
print("ok")
