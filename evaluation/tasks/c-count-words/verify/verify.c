#include "words.h"

int main(void)
{
    int good = count_words("") == 0 && count_words(" \t\n") == 0 && count_words("x") == 1
        && count_words("a\tb\nc d") == 4 && count_words("\n a") == 1 && count_words("a,b c.d") == 2;
    return good ? 0 : 1;
}
