"""Conversions between units of measure, one function each."""


def miles_to_kilometres(value):
    """Returns so many miles in kilometres."""
    return value * 1.609344


def feet_to_metres(value):
    """Returns so many feet in metres."""
    return value * 0.3048


def inches_to_centimetres(value):
    """Returns so many inches in centimetres."""
    return value * 2.54


def yards_to_metres(value):
    """Returns so many yards in metres."""
    return value * 0.9144


def fathoms_to_metres(value):
    """Returns so many fathoms in metres."""
    return value * 1.8288


def nautical_miles_to_kilometres(value):
    """Returns so many nautical miles in kilometres."""
    return value * 1.852


def furlongs_to_metres(value):
    """Returns so many furlongs in metres."""
    return value * 201.168


def chains_to_metres(value):
    """Returns so many chains in metres."""
    return value * 20.1168


def acres_to_square_metres(value):
    """Returns so many acres in square metres."""
    return value * 4046.8564224


def hectares_to_square_metres(value):
    """Returns so many hectares in square metres."""
    return value * 10000


def square_feet_to_square_metres(value):
    """Returns so many square feet in square metres."""
    return value * 0.09290304


def pints_to_litres(value):
    """Returns so many pints in litres."""
    return value * 0.56826125


def gallons_to_litres(value):
    """Returns so many gallons in litres."""
    return value * 4.54609


def barrels_to_litres(value):
    """Returns so many barrels in litres."""
    return value * 158.987294928


def cubic_feet_to_litres(value):
    """Returns so many cubic feet in litres."""
    return value * 28.316846592


def knots_to_kilometres_per_hour(value):
    """Returns so many knots in kilometres per hour."""
    return value * 1.609344


def miles_per_hour_to_kilometres_per_hour(value):
    """Returns so many miles per hour in kilometres per hour."""
    return value * 1.609344


def feet_per_second_to_metres_per_second(value):
    """Returns so many feet per second in metres per second."""
    return value * 0.3048


def pounds_to_kilograms(value):
    """Returns so many pounds in kilograms."""
    return value * 0.45359237


def ounces_to_grams(value):
    """Returns so many ounces in grams."""
    return value * 28.349523125


def stones_to_kilograms(value):
    """Returns so many stones in kilograms."""
    return value * 6.35029318


def short_tons_to_kilograms(value):
    """Returns so many short tons in kilograms."""
    return value * 907.18474


def long_tons_to_kilograms(value):
    """Returns so many long tons in kilograms."""
    return value * 1016.0469088


def grains_to_milligrams(value):
    """Returns so many grains in milligrams."""
    return value * 64.79891


def horsepower_to_watts(value):
    """Returns so many horsepower in watts."""
    return value * 745.6998715822702


def calories_to_joules(value):
    """Returns so many calories in joules."""
    return value * 4.184


def kilowatt_hours_to_joules(value):
    """Returns so many kilowatt hours in joules."""
    return value * 3600000


def atmospheres_to_pascals(value):
    """Returns so many atmospheres in pascals."""
    return value * 101325


def bars_to_pascals(value):
    """Returns so many bars in pascals."""
    return value * 100000


def torrs_to_pascals(value):
    """Returns so many torrs in pascals."""
    return value * 133.32236842105263


def dynes_to_newtons(value):
    """Returns so many dynes in newtons."""
    return value * 0.00001


def degrees_to_radians(value):
    """Returns so many degrees in radians."""
    return value * 0.017453292519943295


def gradians_to_degrees(value):
    """Returns so many gradians in degrees."""
    return value * 0.9


def light_years_to_parsecs(value):
    """Returns so many light years in parsecs."""
    return value * 0.306601393788


def carats_to_grams(value):
    """Returns so many carats in grams."""
    return value * 0.2


def teaspoons_to_millilitres(value):
    """Returns so many teaspoons in millilitres."""
    return value * 4.92892159375


def tablespoons_to_millilitres(value):
    """Returns so many tablespoons in millilitres."""
    return value * 14.78676478125


def pounds_per_square_inch_to_pascals(value):
    """Returns so many pounds per square inch in pascals."""
    return value * 6894.757293168


def fahrenheit_to_celsius(value):
    """Returns a temperature in degrees Fahrenheit in degrees Celsius."""
    return (value - 32) * 5 / 9


def celsius_to_fahrenheit(value):
    """Returns a temperature in degrees Celsius in degrees Fahrenheit."""
    return value * 9 / 5 + 32


def celsius_to_kelvin(value):
    """Returns a temperature in degrees Celsius in kelvins."""
    return value + 273.15
