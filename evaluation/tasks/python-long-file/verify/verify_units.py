"""Every function is there and converts as it should."""
import units

FACTORS = {
    "miles_to_kilometres": 1.609344,
    "feet_to_metres": 0.3048,
    "inches_to_centimetres": 2.54,
    "yards_to_metres": 0.9144,
    "fathoms_to_metres": 1.8288,
    "nautical_miles_to_kilometres": 1.852,
    "furlongs_to_metres": 201.168,
    "chains_to_metres": 20.1168,
    "acres_to_square_metres": 4046.8564224,
    "hectares_to_square_metres": 10000,
    "square_feet_to_square_metres": 0.09290304,
    "pints_to_litres": 0.56826125,
    "gallons_to_litres": 4.54609,
    "barrels_to_litres": 158.987294928,
    "cubic_feet_to_litres": 28.316846592,
    "knots_to_kilometres_per_hour": 1.852,
    "miles_per_hour_to_kilometres_per_hour": 1.609344,
    "feet_per_second_to_metres_per_second": 0.3048,
    "pounds_to_kilograms": 0.45359237,
    "ounces_to_grams": 28.349523125,
    "stones_to_kilograms": 6.35029318,
    "short_tons_to_kilograms": 907.18474,
    "long_tons_to_kilograms": 1016.0469088,
    "grains_to_milligrams": 64.79891,
    "horsepower_to_watts": 745.6998715822702,
    "calories_to_joules": 4.184,
    "kilowatt_hours_to_joules": 3600000,
    "atmospheres_to_pascals": 101325,
    "bars_to_pascals": 100000,
    "torrs_to_pascals": 133.32236842105263,
    "dynes_to_newtons": 0.00001,
    "degrees_to_radians": 0.017453292519943295,
    "gradians_to_degrees": 0.9,
    "light_years_to_parsecs": 0.306601393788,
    "carats_to_grams": 0.2,
    "teaspoons_to_millilitres": 4.92892159375,
    "tablespoons_to_millilitres": 14.78676478125,
    "pounds_per_square_inch_to_pascals": 6894.757293168,
}

for name, factor in FACTORS.items():
    for value in (0, 1, 7.5):
        actual = getattr(units, name)(value)
        assert abs(actual - value * factor) <= 1e-9 * factor * 10, (name, value, actual)
assert units.fahrenheit_to_celsius(212) == 100
assert units.celsius_to_fahrenheit(100) == 212
assert units.celsius_to_kelvin(0) == 273.15
