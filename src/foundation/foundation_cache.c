/* foundation: NSCache: a locked table that lets the oldest go when its limits are passed. Guest's
 * process; trusts it. */
#include "foundation/foundation_table.h"

ABX_OBJC_CLASS(NSCache)

struct cache {
    Class isa;
    pthread_mutex_t lock; /* nothing of the program's is called under it but hash and isEqual: */
    struct ns_table values, costs;
    id order; /* array of keys, oldest first */
    NSUInteger count_limit, cost_limit, cost;
    id name, delegate; /* delegate: not retained */
};

static struct cache *inner(id self)
{
    return (struct cache *)self;
}

static id init_cache(id self, SEL cmd)
{
    pthread_mutex_init(&inner(self)->lock, NULL);
    inner(self)->order = objc_retain(abx_ns_mutable_array());
    return self;
}

static id value_in(const struct ns_table *table, id key)
{
    ptrdiff_t at = key ? abx_ns_table_find(table, key) : -1;
    return at >= 0 && table->keys[at] ? table->values[at] : nil;
}

/* Lock held; what goes is kept in `gone`. */
static void take_out(struct cache *c, id key, id gone)
{
    id value = value_in(&c->values, key);
    if (!value)
        return;
    abx_ns_array_add(gone, value);
    abx_ns_array_add(gone, key);
    c->cost -= (NSUInteger)abx_ns_number_get_int(value_in(&c->costs, key));
    abx_ns_table_remove(&c->values, key);
    abx_ns_table_remove(&c->costs, key);
    ABX_MSG(void, (id, SEL, id), c->order, "removeObject:", key);
}

/* Lock held. */
static id take_excess(struct cache *c, id gone)
{
    id evicted = abx_ns_mutable_array();
    while ((c->count_limit && c->values.count > c->count_limit) ||
            (c->cost_limit && c->cost > c->cost_limit)) {
        id key = abx_ns_array_at(c->order, 0);
        if (!key)
            break;
        abx_ns_array_add(evicted, value_in(&c->values, key));
        take_out(c, objc_autorelease(objc_retain(key)), gone);
    }
    return evicted;
}

static void tell(id self, id evicted)
{
    id delegate = inner(self)->delegate;
    SEL selector = sel_registerName("cache:willEvictObject:");
    if (!delegate ||
            !ABX_MSG(abx_objc_bool, (id, SEL, SEL), delegate, "respondsToSelector:", selector))
        return;
    for (NSUInteger i = 0; i < abx_ns_array_count(evicted); i++)
        ((void (*)(id, SEL, id, id))(uintptr_t)abx_objc_msg_send)(
                delegate, selector, self, abx_ns_array_at(evicted, i));
}

static id get_object(id self, SEL cmd, id key)
{
    struct cache *c = inner(self);
    pthread_mutex_lock(&c->lock);
    id value = objc_retain(value_in(&c->values, key));
    pthread_mutex_unlock(&c->lock);
    return objc_autorelease(value);
}

static void set_cost(id self, SEL cmd, id value, id key, NSUInteger cost)
{
    struct cache *c = inner(self);
    id gone = abx_ns_mutable_array();
    pthread_mutex_lock(&c->lock);
    take_out(c, key, gone);
    abx_ns_table_put(&c->values, key, value, true, false);
    if (cost)
        abx_ns_table_put(&c->costs, key, abx_ns_number_uint(cost), true, false);
    c->cost += cost;
    abx_ns_array_add(c->order, key);
    id evicted = take_excess(c, gone);
    pthread_mutex_unlock(&c->lock);
    tell(self, evicted);
}

static void set_object(id self, SEL cmd, id value, id key)
{
    set_cost(self, cmd, value, key, 0);
}

static void remove_object(id self, SEL cmd, id key)
{
    struct cache *c = inner(self);
    id gone = abx_ns_mutable_array();
    pthread_mutex_lock(&c->lock);
    take_out(c, key, gone);
    pthread_mutex_unlock(&c->lock);
}

static void remove_all(id self, SEL cmd)
{
    struct cache *c = inner(self);
    id keys = objc_autorelease(objc_retain(c->order));
    pthread_mutex_lock(&c->lock);
    struct ns_table values = c->values, costs = c->costs;
    c->values = c->costs = (struct ns_table){0};
    c->order = objc_retain(abx_ns_mutable_array());
    c->cost = 0;
    pthread_mutex_unlock(&c->lock);
    objc_release(keys); /* the cache's own reference */
    abx_ns_table_clear(&values);
    abx_ns_table_clear(&costs);
}

static void set_limit(id self, NSUInteger *limit, NSUInteger value)
{
    struct cache *c = inner(self);
    id gone = abx_ns_mutable_array();
    pthread_mutex_lock(&c->lock);
    *limit = value;
    id evicted = take_excess(c, gone);
    pthread_mutex_unlock(&c->lock);
    tell(self, evicted);
}

static NSUInteger get_count_limit(id self, SEL cmd)
{
    return inner(self)->count_limit;
}

static void set_count_limit(id self, SEL cmd, NSUInteger limit)
{
    set_limit(self, &inner(self)->count_limit, limit);
}

static NSUInteger get_cost_limit(id self, SEL cmd)
{
    return inner(self)->cost_limit;
}

static void set_cost_limit(id self, SEL cmd, NSUInteger limit)
{
    set_limit(self, &inner(self)->cost_limit, limit);
}

static id get_name(id self, SEL cmd)
{
    return inner(self)->name;
}

static void set_name(id self, SEL cmd, id name)
{
    abx_objc_store_copy(&inner(self)->name, name);
}

static id get_delegate(id self, SEL cmd)
{
    return inner(self)->delegate;
}

static void set_delegate(id self, SEL cmd, id delegate)
{
    inner(self)->delegate = delegate;
}

static void cache_dealloc(id self, SEL cmd)
{
    struct cache *c = inner(self);
    abx_ns_table_clear(&c->values);
    abx_ns_table_clear(&c->costs);
    objc_release(c->order);
    objc_release(c->name);
    pthread_mutex_destroy(&c->lock);
    abx_objc_dealloc_super(self, ABX_CLASS(NSCache));
}

static const struct abx_objc_method methods[] = {
        METHOD("init", "@@:", init_cache),
        METHOD("objectForKey:", "@@:@", get_object),
        METHOD("setObject:forKey:", "v@:@@", set_object),
        METHOD("setObject:forKey:cost:", "v@:@@Q", set_cost),
        METHOD("removeObjectForKey:", "v@:@", remove_object),
        METHOD("removeAllObjects", "v@:", remove_all),
        METHOD("countLimit", "Q@:", get_count_limit),
        METHOD("setCountLimit:", "v@:Q", set_count_limit),
        METHOD("totalCostLimit", "Q@:", get_cost_limit),
        METHOD("setTotalCostLimit:", "v@:Q", set_cost_limit),
        METHOD("name", "@@:", get_name),
        METHOD("setName:", "v@:@", set_name),
        METHOD("delegate", "@@:", get_delegate),
        METHOD("setDelegate:", "v@:@", set_delegate),
        METHOD("dealloc", "v@:", cache_dealloc),
        {NULL},
};

__attribute__((constructor(102))) static void define(void)
{
    DEFINE(NSCache, NSObject, struct cache, methods, NULL);
}
