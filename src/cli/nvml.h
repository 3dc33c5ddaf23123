/* cli: what NVIDIA's management library says of the cards here. Reads alone: no setting of a card
 * is changed. */
#ifndef ABX_CLI_NVML_H
#define ABX_CLI_NVML_H

#include "cli/cli.h"

#define ABX_NVML_MAX 16u

/* A number that the library does not know is 0. */
struct abx_nvml_card {
    char name[96], bus[32];
    uint64_t memory_used, memory_total; /* bytes */
    unsigned sm_mhz, memory_mhz, milliwatts, milliwatts_limit, celsius, busy_percent;
    uint64_t throttle; /* NVML's bits; abx_nvml_throttle() */
};

/* How many cards there are, at most ABX_NVML_MAX; 0 too where there is no library. */
unsigned abx_nvml_read(struct abx_nvml_card cards[ABX_NVML_MAX]);
/* Why the clocks are lower than they could be, in words, "" when they are not. The caller's to
 * free(). */
char *abx_nvml_throttle(uint64_t bits);
/* One line about a card. The caller's to free(). */
char *abx_nvml_line(const struct abx_nvml_card *card);
void abx_nvml_json(struct abx_string *s, const struct abx_nvml_card *card);

#endif
