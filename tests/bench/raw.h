/* Super-packets split and joined by hand, for TCP and UDP without IP options. */
#ifndef TUNTAPD_RAW_H
#define TUNTAPD_RAW_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#define VNET_HEADER	10
#define SUPER_MAX	(VNET_HEADER + 65536)
#define BATCH_PACKETS	2048
#define BATCH_BYTES	(SUPER_MAX * 8)

struct piece {
	uint8_t *data;
	unsigned len;
};
struct batch {
	struct piece pieces[BATCH_PACKETS];
	unsigned n;
	size_t used;
	uint8_t bytes[BATCH_BYTES];
};

/* Is there room for another super-packet and its pieces? */
bool raw_has_room(const struct batch *batch);
/* Reads one, and appends its packets.  What read(2) returns. */
ssize_t raw_read(struct batch *batch, int fd);
/* Writes them, those of one flow that follow each other as one. */
void raw_join(const struct batch *batch, int fd);
/* Of an ordinary packet, header and all: the checksum, where it has none. */
void raw_finish(uint8_t *super);

#endif
