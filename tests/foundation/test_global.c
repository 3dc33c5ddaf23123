/* A library that a program loads for itself brings what a Mac's libraries export within everybody's
 * reach. The argument is that library. */
#include <dlfcn.h>
#include <stdio.h>

#include "../check.h"

int main(int count, char **arguments)
{
    CHECK(count == 2 && !dlsym(RTLD_DEFAULT, "sysctlbyname"));
    CHECK(dlopen(arguments[1], RTLD_NOW | RTLD_LOCAL));
    CHECK(dlsym(RTLD_DEFAULT, "sysctlbyname") && dlsym(dlopen(NULL, RTLD_LAZY), "objc_msgSend"));
    printf("ok\n");
    return 0;
}
