/* foundation: UTF-8 and UTF-16. Strings are stored as UTF-8; the interface counts UTF-16 units.
 * Guest's process; trusts it. */
#include "foundation/foundation_internal.h"

#include <locale.h>
#include <wctype.h>

enum { REPLACEMENT = 0xfffd };

void *abx_ns_allocate(size_t size)
{
    void *memory = malloc(size ? size : 1);
    if (!memory)
        abort();
    return memory;
}

void *abx_ns_reallocate(void *memory, size_t size)
{
    memory = realloc(memory, size ? size : 1);
    if (!memory)
        abort();
    return memory;
}

uint32_t abx_ns_utf8_next(const char **p, const char *end)
{
    const uint8_t *s = (const uint8_t *)*p;
    size_t left = (size_t)(end - *p);
    uint32_t c = s[0];
    unsigned more = c < 0x80                ? 0
                    : c >= 0xc2 && c < 0xe0 ? 1
                    : c >= 0xe0 && c < 0xf0 ? 2
                    : c >= 0xf0 && c < 0xf5 ? 3
                                            : 9;
    if (more == 0) {
        *p += 1;
        return c;
    }
    if (more == 9 || left <= more) {
        *p += 1;
        return REPLACEMENT;
    }
    c &= 0x3fu >> more;
    for (unsigned i = 1; i <= more; i++) {
        if ((s[i] & 0xc0) != 0x80) {
            *p += 1;
            return REPLACEMENT;
        }
        c = c << 6 | (s[i] & 0x3f);
    }
    if ((more == 2 && c < 0x800) || (more == 3 && (c < 0x10000 || c > 0x10ffff))) {
        *p += 1;
        return REPLACEMENT;
    }
    *p += 1 + more;
    return c;
}

size_t abx_ns_utf8_put(char *to, uint32_t c)
{
    if (c < 0x80) {
        to[0] = (char)c;
        return 1;
    }
    if (c < 0x800) {
        to[0] = (char)(0xc0 | c >> 6);
        to[1] = (char)(0x80 | (c & 0x3f));
        return 2;
    }
    if (c < 0x10000) {
        to[0] = (char)(0xe0 | c >> 12);
        to[1] = (char)(0x80 | (c >> 6 & 0x3f));
        to[2] = (char)(0x80 | (c & 0x3f));
        return 3;
    }
    to[0] = (char)(0xf0 | c >> 18);
    to[1] = (char)(0x80 | (c >> 12 & 0x3f));
    to[2] = (char)(0x80 | (c >> 6 & 0x3f));
    to[3] = (char)(0x80 | (c & 0x3f));
    return 4;
}

char *abx_ns_utf8_from_utf16(const unichar *text, size_t count, size_t *ret_length)
{
    char *out = abx_ns_allocate(count * 3 + 1);
    size_t length = 0;
    for (size_t i = 0; i < count; i++) {
        uint32_t c = text[i];
        if (c >= 0xd800 && c < 0xdc00 && i + 1 < count && text[i + 1] >= 0xdc00 &&
                text[i + 1] < 0xe000) {
            c = 0x10000 + ((c - 0xd800) << 10) + (text[i + 1] - 0xdc00);
            i++;
        }
        length += abx_ns_utf8_put(out + length, c);
    }
    out[length] = '\0';
    *ret_length = length;
    return out;
}

bool abx_ns_is_ascii(const char *text, size_t length)
{
    uint8_t all = 0;
    for (size_t i = 0; i < length; i++)
        all |= (uint8_t)text[i];
    return all < 0x80;
}

bool abx_ns_is_utf8(const char *text, size_t length)
{
    const char *end = text + length;
    while (text < end) {
        const char *start = text;
        uint32_t c = abx_ns_utf8_next(&text, end);
        if ((c == REPLACEMENT && text - start == 1) || (c >= 0xd800 && c < 0xe000))
            return false;
    }
    return true;
}

size_t abx_ns_utf16_count(const char *text, size_t length)
{
    const char *end = text + length;
    size_t count = 0;
    while (text < end)
        count += abx_ns_utf8_next(&text, end) >= 0x10000 ? 2 : 1;
    return count;
}

size_t abx_ns_utf16_offset(const char *text, size_t length, size_t index)
{
    const char *p = text, *end = text + length;
    while (p < end && index) {
        const char *start = p;
        size_t units = abx_ns_utf8_next(&p, end) >= 0x10000 ? 2 : 1;
        if (units > index)
            return (size_t)(start - text);
        index -= units;
    }
    return (size_t)(p - text);
}

static locale_t unicode_locale(void)
{
    static locale_t locale;
    locale_t now = __atomic_load_n(&locale, __ATOMIC_ACQUIRE);
    if (!now) {
        now = newlocale(LC_CTYPE_MASK, "C.UTF-8", (locale_t)0);
        if (!now)
            now = newlocale(LC_CTYPE_MASK, "C", (locale_t)0);
        __atomic_store_n(&locale, now, __ATOMIC_RELEASE);
    }
    return now;
}

uint32_t abx_ns_lower(uint32_t c)
{
    if (c < 0x80)
        return c >= 'A' && c <= 'Z' ? c + 32 : c;
    return towlower_l((wint_t)c, unicode_locale());
}

uint32_t abx_ns_upper(uint32_t c)
{
    if (c < 0x80)
        return c >= 'a' && c <= 'z' ? c - 32 : c;
    return towupper_l((wint_t)c, unicode_locale());
}
