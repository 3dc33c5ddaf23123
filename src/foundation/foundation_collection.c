/* foundation: see foundation_collection.h. Guest's process; trusts it. */
#include "foundation/foundation_collection.h"

id abx_ns_collection(id cls, SEL cmd)
{
    return objc_autorelease(class_createInstance((Class)cls, 0));
}

id abx_ns_collection_capacity(id cls, SEL cmd, NSUInteger capacity)
{
    return abx_ns_collection(cls, cmd);
}

id abx_ns_add_variadic(id collection, void (*add)(id, id), id first, va_list rest)
{
    for (id object = first; object; object = va_arg(rest, id))
        add(collection, object);
    return collection;
}

id abx_ns_list_description(const char *open, id array, const char *close)
{
    struct abx_string out = {0};
    abx_string_add(&out, open, strlen(open));
    for (NSUInteger i = 0; i < abx_ns_array_count(array); i++)
        abx_string_printf(&out, "%s\n    %s", i ? "," : "",
                abx_ns_string_utf8(abx_ns_description(abx_ns_array_at(array, i))));
    abx_string_printf(&out, "\n%s", close);
    id result = abx_ns_string_bytes(out.data, out.length);
    abx_string_finish(&out);
    return result;
}
