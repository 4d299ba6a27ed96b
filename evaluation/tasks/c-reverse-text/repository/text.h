/* Reverses the text in place. */
void reverse(char *text);
