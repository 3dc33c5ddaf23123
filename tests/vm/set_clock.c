/* Sets the system's clock to what it is, which is told to whoever watches for jumps. */
#include <time.h>

int main(void)
{
    struct timespec now;
    clock_gettime(CLOCK_REALTIME, &now);
    return clock_settime(CLOCK_REALTIME, &now) < 0;
}
