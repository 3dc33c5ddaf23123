/* objc: what an ELF object brings: its selector references, protocols, classes, categories and
 * +load methods. Called by the constructor that <objc/objc.h> plants in every translation unit, so
 * once or many times for each image; only the first counts. Guest's process; trusts it. */
#include "objc/objc_private.h"

enum section {
    SECTION_CLASSES,
    SECTION_CATEGORIES,
    SECTION_PROTOCOLS,
    SECTION_PROTOCOL_REFERENCES,
    SECTION_SELECTOR_REFERENCES,
    SECTION_NONLAZY_CLASSES,
    SECTION_NONLAZY_CATEGORIES,
};

static void **begin_of(const struct _abx_objc_image *image, enum section section)
{
    return image->sections[2 * section];
}

static void **end_of(const struct _abx_objc_image *image, enum section section)
{
    return image->sections[2 * section + 1];
}

/* An image unloaded by dlclose is not forgotten: its classes cannot be taken back, and a program
 * that unloads Objective-C code is as wrong here as it is on Apple's systems. */
static bool first_time(const struct _abx_objc_image *image)
{
    static struct seen {
        struct seen *next;
        const void *key;
    } *seen;
    const void *key = NULL;
    for (size_t i = 0; i < ABX_ARRAY_SIZE(image->sections) && !key; i += 2)
        if (image->sections[i] != image->sections[i + 1])
            key = image->sections[i];
    if (!key)
        return false;
    for (struct seen *s = seen; s; s = s->next)
        if (s->key == key)
            return false;
    struct seen *s = malloc(sizeof(*s));
    if (!s)
        abx_objc_fatal("out of memory for an image");
    *s = (struct seen){seen, key};
    seen = s;
    return true;
}

static void attach_category(struct compiled_category *category)
{
    abx_class cls = category->cls;
    if (!cls) /* weakly linked, and absent */
        return;
    abx_objc_realize(cls);
    uint32_t count;
    struct objc_method *methods = abx_objc_fix_compiled_methods(category->instance_methods, &count);
    abx_objc_attach_methods(cls, methods, count);
    methods = abx_objc_fix_compiled_methods(category->class_methods, &count);
    abx_objc_attach_methods(cls->isa, methods, count);
    abx_objc_attach_protocols(cls, category->protocols);
    abx_objc_attach_properties(cls, category->instance_properties);
}

static void register_protocols(const struct _abx_objc_image *image)
{
    void **end = end_of(image, SECTION_PROTOCOLS);
    for (void **p = begin_of(image, SECTION_PROTOCOLS); p < end; p++)
        *p = abx_objc_register_compiled_protocol(*p);
    end = end_of(image, SECTION_PROTOCOL_REFERENCES);
    for (void **p = begin_of(image, SECTION_PROTOCOL_REFERENCES); p < end; p++)
        if (*p)
            *p = abx_objc_register_compiled_protocol(*p);
}

static void register_classes(const struct _abx_objc_image *image)
{
    void **end = end_of(image, SECTION_CLASSES);
    for (void **p = begin_of(image, SECTION_CLASSES); p < end; p++) {
        abx_class cls = *p;
        if (!cls)
            continue;
        const char *name = abx_objc_class_name(cls);
        if (abx_objc_find_class(name))
            abx_objc_fatal("class %s is implemented in two images", name);
        abx_objc_register_class(cls);
    }
}

static void call_load(abx_class cls, struct compiled_method_list *methods)
{
    for (uint32_t i = 0; methods && i < methods->count; i++)
        if (methods->methods[i].name == abx_objc_sels.load)
            ((void (*)(Class, SEL))methods->methods[i].imp)((Class)cls, abx_objc_sels.load);
}

/* A superclass's +load comes before its subclasses', whatever the order in the image. */
static void load_class(abx_class cls, void **begin, void **end)
{
    for (void **p = begin; p < end; p++) {
        if (*p != cls)
            continue;
        *p = NULL;
        if (cls->superclass)
            load_class(cls->superclass, begin, end);
        class_lock();
        abx_objc_realize(cls);
        /* the class's own, not a category's (those come later) */
        struct method_list *own = class_data(cls->isa)->methods;
        while (own && own->next)
            own = own->next;
        IMP function = NULL;
        for (uint32_t i = 0; own && i < own->count; i++)
            if (own->methods[i].name == abx_objc_sels.load)
                function = own->methods[i].imp;
        class_unlock();
        if (function)
            ((void (*)(Class, SEL))function)((Class)cls, abx_objc_sels.load);
    }
}

static void call_loads(const struct _abx_objc_image *image)
{
    void **begin = begin_of(image, SECTION_NONLAZY_CLASSES);
    void **end = end_of(image, SECTION_NONLAZY_CLASSES);
    for (void **p = begin; p < end; p++)
        if (*p)
            load_class(*p, begin, end);
    end = end_of(image, SECTION_NONLAZY_CATEGORIES);
    for (void **p = begin_of(image, SECTION_NONLAZY_CATEGORIES); p < end; p++) {
        struct compiled_category *category = *p;
        if (category->cls)
            call_load(category->cls, category->class_methods);
    }
}

void _abx_objc_register_image(const struct _abx_objc_image *image)
{
    class_lock();
    if (!first_time(image)) {
        class_unlock();
        return;
    }
    void **end = end_of(image, SECTION_SELECTOR_REFERENCES);
    for (void **p = begin_of(image, SECTION_SELECTOR_REFERENCES); p < end; p++)
        *p = (void *)sel_registerName(*p);
    register_protocols(image);
    register_classes(image);
    end = end_of(image, SECTION_CATEGORIES);
    for (void **p = begin_of(image, SECTION_CATEGORIES); p < end; p++)
        attach_category(*p);
    class_unlock();
    call_loads(image);
}
