/* bench: a program that does nothing, built with and without the guest library: the difference is
 * what loading the library costs (guest_load_ms, guest_rss_mb). */
int main(void)
{
    return 0;
}
