/* Programs that make thousands of libraries: each of them takes memory of the host, but no mapping
 * of its own, of which a process may have 65,530. Run in one process, whose mappings it counts. */
#include "program.h"

enum { First = 4, Libraries = 24 };

static unsigned mappings(void)
{
    char line[512];
    unsigned count = 0;
    FILE *file = fopen("/proc/self/maps", "r");
    CHECK(file);
    while (fgets(line, sizeof line, file))
        count += strchr(line, '\n') != NULL;
    fclose(file);
    return count;
}

static void add_library(NSMutableArray *to, int number)
{
    [to addObject:library_from([NSString stringWithFormat:@"kernel void k(device int *p "
                                                          @"[[buffer(0)]]) { *p = %d; }",
                                       number],
                          nil)];
}

static void test_libraries(void)
{
    NSMutableArray *libraries = [NSMutableArray array];
    for (int i = 0; i < First; i++)
        add_library(libraries, i);
    unsigned before = mappings();
    for (int i = First; i < First + Libraries; i++)
        add_library(libraries, i);
    unsigned after = mappings();
    printf("%u mappings, and %u with %d libraries more\n", before, after, Libraries);
    CHECK(after < before + Libraries);
    CHECK(pipeline_of(libraries[First], @"k") && pipeline_of(libraries.lastObject, @"k"));
}

int main(void)
{
    const struct test tests[] = {{"libraries", test_libraries}};
    return run_tests(tests, sizeof tests / sizeof *tests);
}
