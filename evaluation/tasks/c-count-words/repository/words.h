/* Returns how many words the text has. Spaces, tabs and line breaks stand between words. */
int count_words(const char *text);
