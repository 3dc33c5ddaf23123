/* cli: the little reading of JSON that container engines' files need. */
#ifndef ABX_CLI_JSON_H
#define ABX_CLI_JSON_H

/* The string at path[0] / path[1] / ... of nested objects, NULL-terminated; NULL when there is none
 * or the text is not JSON. The caller's to free(). */
char *abx_json_find(const char *text, const char *const *path);

#endif
