/* objc: the runtime's mutexes, and what fork() does to them: they are all held across it, so that a
 * child never inherits one that a thread it does not have has locked. Guest's process. */
#include "objc/objc_private.h"

pthread_mutex_t abx_objc_class_mutex = PTHREAD_MUTEX_INITIALIZER;
pthread_mutex_t abx_objc_selector_mutex = PTHREAD_MUTEX_INITIALIZER;
pthread_mutex_t abx_objc_stripes[STRIPE_KINDS][STRIPES];

static void before_fork(void)
{
    pthread_mutex_lock(&abx_objc_class_mutex);
    pthread_mutex_lock(&abx_objc_selector_mutex);
    for (unsigned kind = 0; kind < STRIPE_KINDS; kind++)
        for (unsigned i = 0; i < STRIPES; i++)
            pthread_mutex_lock(&abx_objc_stripes[kind][i]);
}

static void after_fork(void)
{
    for (unsigned kind = STRIPE_KINDS; kind-- > 0;)
        for (unsigned i = STRIPES; i-- > 0;)
            pthread_mutex_unlock(&abx_objc_stripes[kind][i]);
    pthread_mutex_unlock(&abx_objc_selector_mutex);
    pthread_mutex_unlock(&abx_objc_class_mutex);
}

__attribute__((constructor(101))) static void start(void)
{
    for (unsigned kind = 0; kind < STRIPE_KINDS; kind++)
        for (unsigned i = 0; i < STRIPES; i++)
            pthread_mutex_init(&abx_objc_stripes[kind][i], NULL);
    abx_objc_selectors_init();
    pthread_atfork(before_fork, after_fork, after_fork);
}
