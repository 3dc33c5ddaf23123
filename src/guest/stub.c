/* guest: a library of another name, for the loader's cache: its only content is that it needs the
 * guest library, whose symbols dlsym() finds through it. Runs in the guest's process. */
extern const char abx_guest_stub;
const char abx_guest_stub;
