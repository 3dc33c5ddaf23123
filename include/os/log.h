#ifndef __OS_LOG_H__
#define __OS_LOG_H__
/* The unified log does not exist here: messages go nowhere, unless they are errors, which go to
 * standard error. */
#include <stdio.h>
typedef const struct os_log_s *os_log_t;
#define OS_LOG_DEFAULT ((os_log_t)0)
#define os_log_create(subsystem, category) ((os_log_t)0)
#define os_log(log, ...) ((void)(log))
#define os_log_info(log, ...) ((void)(log))
#define os_log_debug(log, ...) ((void)(log))
#define os_log_error(log, format, ...)                                                             \
    ((void)(log), (void)fprintf(stderr, format "\n", ##__VA_ARGS__))
#define os_log_fault os_log_error
#endif
