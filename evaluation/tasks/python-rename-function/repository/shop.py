from billing import calc, calculation_note


class Cart:
    def __init__(self):
        self.prices = []

    def add(self, price):
        self.prices.append(price)

    def total(self):
        return calc(self.prices, discount=10 if len(self.prices) > 2 else 0)

    def note(self):
        return calculation_note(self.prices)
