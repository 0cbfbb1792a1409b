/* The options that describe a device.  Pure: text in, values or a sentence out. */
#ifndef TUNTAPCTL_RUN_ARGS_H
#define TUNTAPCTL_RUN_ARGS_H

#include "../libclient/tuntapd.h"
#include "../proto/wire.h"
#include "command.h"

struct run_args {
	struct common_args common;	/* first */
	struct ttd_addr addrs[WIRE_ADDRESSES_MAX];
	size_t n_addrs;
	struct ttd_route routes[WIRE_ROUTES_MAX];
	size_t n_routes;
	uint32_t layer;			/* enum ttd_layer; 0: none given */
	const char *name;		/* NULL: none given */
	uint32_t mtu, txqueuelen, queues;	/* 0: none given */
	bool mac_set, vnet_hdr, down;
	uint8_t mac[6];
};

/*
 * For args_parse(); the rows point into a struct run_args.  device_rows: those
 * that describe the device.
 */
extern const struct arg_row device_rows[], run_rows[];

/* Do they make sense together?  0, or -EINVAL with why filled. */
int run_args_check(const struct run_args *a, char why[ARGS_WHY_MAX]);

/* The same for ttd_open(); it points into a. */
struct ttd_options run_args_options(const struct run_args *a);
/* The same for the policy. */
void run_args_wire(const struct run_args *a, struct wire_open *ret);

#endif
