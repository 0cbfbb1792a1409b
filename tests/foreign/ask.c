/*
 * A program of somebody else's: it asks a daemon that is not there, and ends
 * with 0 if the library says so.  In C, and by ask.cc in C++.
 */
#include <errno.h>
#include <stdio.h>

#include <tuntapd.h>

int main(void)
{
	struct ttd_options options = TTD_OPTIONS_INIT(TTD_TUN);
	struct ttd_device *dev;
	struct ttd_error error;

	options.socket_path = "/nowhere/tuntapd.sock";
	if (ttd_open(&options, &dev, &error) != -ENOENT)
		return 1;
	printf("libtuntapd %s: %s\n", ttd_version(), error.text);
	return 0;
}
