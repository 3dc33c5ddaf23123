/* shader: the rewriter's tables. Compiler process, hostile text: look-ups must not become quadratic
 * in the number of names. */
#include "shader/rewrite/internal.h"

#include <stdlib.h>
#include <string.h>

static uint32_t hash_name(const char *name, uint32_t length)
{
    uint32_t h = 2166136261u; /* FNV-1a */
    for (uint32_t i = 0; i < length; i++)
        h = (h ^ (unsigned char)name[i]) * 16777619u;
    return h;
}

/* The slot that holds the name, or the empty one where it belongs. */
static struct name_slot *find_slot(
        const struct name_table *table, const char *name, uint32_t length)
{
    uint32_t mask = table->capacity - 1;
    for (uint32_t i = hash_name(name, length) & mask;; i = (i + 1) & mask) {
        struct name_slot *slot = &table->slots[i];
        if (!slot->name || (slot->length == length && !memcmp(slot->name, name, length)))
            return slot;
    }
}

static bool grow_table(struct rewriter *r, struct name_table *table)
{
    struct name_table bigger = {.capacity = table->capacity ? table->capacity * 2 : 64};
    bigger.slots = calloc(bigger.capacity, sizeof(*bigger.slots));
    if (!bigger.slots) {
        r->error = -ENOMEM;
        return false;
    }
    for (uint32_t i = 0; i < table->capacity; i++) {
        const struct name_slot *slot = &table->slots[i];
        if (slot->name) {
            *find_slot(&bigger, slot->name, slot->length) = *slot;
            bigger.count++;
        }
    }
    free(table->slots);
    *table = bigger;
    return true;
}

void name_table_put(struct rewriter *r, struct name_table *table, uint32_t token, uint32_t value)
{
    if (r->error || (2 * (table->count + 1) > table->capacity && !grow_table(r, table)))
        return;
    const char *name = r->text + r->tokens[token].start;
    struct name_slot *slot = find_slot(table, name, token_length(r, token));
    table->count += !slot->name;
    *slot = (struct name_slot){name, token_length(r, token), value};
}

uint32_t name_table_find(const struct name_table *table, const char *name, uint32_t length)
{
    const struct name_slot *slot = table->capacity ? find_slot(table, name, length) : NULL;
    return slot && slot->name ? slot->value : NO_NAME;
}

uint32_t name_table_get(const struct rewriter *r, const struct name_table *table, uint32_t token)
{
    if (token >= r->count)
        return NO_NAME;
    return name_table_find(table, r->text + r->tokens[token].start, token_length(r, token));
}

bool rewriter_grow(struct rewriter *r, void **array, uint32_t *capacity, uint32_t count,
        size_t element_bytes, uint32_t cap)
{
    if (r->error)
        return false;
    if (count < *capacity)
        return true;
    if (count >= cap) {
        r->error = -E2BIG;
        return false;
    }
    if (!abx_grow(array, capacity, count, element_bytes, cap)) {
        r->error = -ENOMEM;
        return false;
    }
    return true;
}

void rewriter_append(struct rewriter *r, struct abx_string *to, uint32_t first, uint32_t last)
{
    for (uint32_t i = first; i <= last && i < r->count; i++) {
        if (token_attribute(r, i)) {
            i = token_close(r, i);
            continue;
        }
        if (to->length)
            abx_string_add(to, " ", 1);
        abx_string_add(to, r->text + r->tokens[i].start, token_length(r, i));
    }
    if (to->length > ABX_REWRITE_MAX_OUTPUT)
        r->error = -E2BIG;
}
