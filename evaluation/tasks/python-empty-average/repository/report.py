from statistics_of import average, spread


def line(station, readings):
    return f"{station}: average {average(readings):.1f}, spread {spread(readings):.1f}"


def report(stations):
    return "\n".join(line(name, readings) for name, readings in stations.items())
