/* A stream of bytes by TCP, each of which is known where it arrives. */
#ifndef TUNTAPD_STREAM_H
#define TUNTAPD_STREAM_H

#include <stdint.h>
#include <sys/socket.h>
#include <unistd.h>

#include "harness.h"

#define STREAM	(4 << 20)	/* bytes of it */
#define CHUNK	65536

/* The i-th of it. */
static inline uint8_t stream_byte(size_t i)
{
	return (uint8_t)(i * 2654435761u >> 16);
}

/* For pthread_create(3): sends all of it, and its end. */
static inline void *write_stream(void *sock)
{
	static uint8_t chunk[CHUNK];

	for (size_t at = 0; at < STREAM; at += CHUNK) {
		for (size_t i = 0; i < CHUNK; i++)
			chunk[i] = stream_byte(at + i);
		for (size_t done = 0; done < CHUNK; ) {
			ssize_t n = send(*(int *)sock, chunk + done,
					 CHUNK - done, MSG_NOSIGNAL);

			if (n <= 0)
				return NULL;	/* the reader tells */
			done += (size_t)n;
		}
	}
	shutdown(*(int *)sock, SHUT_WR);
	return NULL;
}

/* All of it comes, as it was, and its end; closes the socket. */
static inline void read_stream(int sock)
{
	static uint8_t chunk[CHUNK];
	size_t at = 0;
	ssize_t n;

	while ((n = recv(sock, chunk, sizeof(chunk), 0)) > 0)
		for (ssize_t i = 0; i < n; i++, at++)
			if (chunk[i] != stream_byte(at))
				ck_abort_msg("byte %zu is another", at);
	ck_assert_int_eq(n, 0);
	ck_assert_uint_eq(at, STREAM);
	close(sock);
}

#endif
