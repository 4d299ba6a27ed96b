#include "../text.h"

#include <stdio.h>
#include <string.h>

int main(void)
{
    char text[] = "harbour";
    reverse(text);
    if (strcmp(text, "ruobrah") != 0) {
        printf("reverse of \"harbour\" is \"%s\", expected \"ruobrah\"\n", text);
        return 1;
    }
    return 0;
}
