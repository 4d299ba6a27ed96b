#include "text.h"

#include <string.h>

static int is(const char *given, const char *expected)
{
    char text[32];
    strcpy(text, given);
    reverse(text);
    return strcmp(text, expected) == 0;
}

int main(void)
{
    int good = is("", "") && is("a", "a") && is("ab", "ba") && is("abc", "cba") && is("a b c d", "d c b a");
    return good ? 0 : 1;
}
