#include "words.h"

#include <ctype.h>

int count_words(const char *text)
{
    int count = 0;
    int inside = 0;
    for (; *text; text++) {
        int space = isspace((unsigned char)*text) != 0;
        count += !space && !inside;
        inside = !space;
    }
    return count;
}
