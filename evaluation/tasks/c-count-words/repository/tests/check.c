#include "../words.h"

#include <stdio.h>

static int failed;

static void check(const char *text, int expected)
{
    int actual = count_words(text);
    if (actual != expected) {
        printf("count_words(\"%s\") is %d, expected %d\n", text, actual, expected);
        failed = 1;
    }
}

int main(void)
{
    check("one two three", 3);
    check("  much   space  ", 2);
    check("", 0);
    return failed;
}
