/*
 * One frame in, one frame out, with the fds that ride on it.  Works on a
 * SOCK_STREAM Unix socket, blocking or not.
 *
 * The receiver never reads past the frame it is at, so that fds of the next
 * one are never taken with it, and it offers the kernel room for exactly the
 * fds that the caller is ready to take.
 */
#ifndef TUNTAPD_FRAME_H
#define TUNTAPD_FRAME_H

#include "wire.h"

/* A frame being received.  Start from FRAME_IN_INIT; free with frame_in_reset. */
struct frame_in {
	uint8_t head[WIRE_HEADER_LEN];
	struct wire_header header;	/* true once `have` is a header's length */
	size_t have;			/* bytes so far, header included */
	uint8_t *frame;			/* whole frame, allocated after the header */
	int *fds;			/* n_fds of them, owned */
	unsigned n_fds;
};
#define FRAME_IN_INIT ((struct frame_in){ .have = 0 })

/*
 * Receives what there is of the frame.
 *  1		whole: ->frame is ->header.length bytes long; wire_decode it
 *  0		the peer closed between two frames
 *  -EAGAIN	the rest has not come yet; call again
 *  -EPIPE	the peer closed inside a frame
 *  -EPROTO, -EPROTONOSUPPORT, -ENOSYS	as wire_header: ->header is filled, the
 *		body has not been read, the stream cannot go on
 *  -EPERM	the type is not one that `sender` sends; likewise
 *  -EBADMSG	fds came that nobody expected, or more than max_fds (or in
 *		other ancillary data); all have been closed
 *  -ENOMEM, or what recvmsg(2) failed with
 */
int frame_receive(struct frame_in *in, int sock, enum wire_sender sender,
		  unsigned max_fds);
/* Hands the fds to the caller, who closes them; returns the old n_fds. */
unsigned frame_take_fds(struct frame_in *in, int **ret_fds);
/* Closes fds that nobody took, frees, and makes ready for the next frame. */
void frame_in_reset(struct frame_in *in);

/*
 * Sends bytes [*off, len) of buf, with n_fds fds on the first of them, and
 * moves *off on.  0 when all is sent, -EAGAIN when the socket is full, or what
 * sendmsg(2) failed with.  The caller keeps the fds; they are on their way as
 * soon as *off is no longer 0.  Never raises SIGPIPE.
 */
int frame_send(int sock, const uint8_t *buf, size_t len, size_t *off,
	       const int *fds, unsigned n_fds);

#endif
