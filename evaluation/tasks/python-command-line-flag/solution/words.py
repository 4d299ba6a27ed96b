"""Prints the words that it is given, one on a line."""
import argparse


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("words", nargs="+")
    parser.add_argument("--upper", action="store_true", help="in capital letters")
    parser.add_argument("--reverse", action="store_true", help="in reverse order")
    arguments = parser.parse_args()
    words = arguments.words
    if arguments.upper:
        words = [word.upper() for word in words]
    if arguments.reverse:
        words = words[::-1]
    for word in words:
        print(word)


main()
