/*
 * One frame in, one frame out, with the fds that ride on it.  Works on a
 * SOCK_STREAM Unix socket, blocking or not.
 *
 * Fds ride on the first byte of a frame and nowhere else.  The receiver never
 * reads past the frame it is at, so that fds of the next one are never taken
 * with it, and it offers the kernel room for exactly the fds that the caller
 * is ready to take.
 */
#ifndef TUNTAPD_FRAME_H
#define TUNTAPD_FRAME_H

#include "wire.h"

/* A frame being received.  From FRAME_IN_INIT until frame_in_reset. */
struct frame_in {
	uint8_t head[WIRE_HEADER_LEN];
	struct wire_header header;	/* once `have` is a header long */
	size_t have;		/* bytes so far, header included */
	uint8_t *frame;		/* the whole one, allocated after the header */
	int *fds;		/* n_fds of them, owned */
	unsigned n_fds;
	int error;		/* why the stream cannot go on, or 0 */
};
#define FRAME_IN_INIT ((struct frame_in){ .have = 0 })

/*
 * Receives what there is of the frame.
 *  1		whole: ->frame is ->header.length bytes long; wire_decode it.
 *		->fds are at most what the type may carry; whether they are
 *		as many as the message says is for the caller
 *  0		the peer closed between two frames
 *  -EAGAIN	the rest has not come yet; call again, with the same arguments
 * Anything else is for good; it is what each further call returns:
 *  -EPIPE	the peer closed inside a frame
 *  -EPROTO, -EPROTONOSUPPORT, -ENOSYS	as wire_header: ->header is filled, the
 *		body has not been read
 *  -EPERM	the type is not one that `sender` sends; likewise
 *  -EBADMSG	fds came that nobody expected, more than max_fds, past the
 *		first byte, or with a type that carries none; or other
 *		ancillary data (SO_PASSCRED must be off).  All that were
 *		received are closed.
 *  -EMFILE	this process has no numbers left for the fds; all are closed
 *  -ENOMEM, or what recvmsg(2) failed with
 *
 * With max_fds 0 no fd is ever received: bytes that one rides on, or that one
 * is seen behind, stay in the socket unread and it is -EBADMSG.  They die with
 * the socket, so closing that may block.  (macOS does not tell of them: there
 * the kernel drops them.)
 */
int frame_receive(struct frame_in *in, int sock, enum wire_sender sender,
		  unsigned max_fds);
/* Gives the array away, to be closed and freed; returns the old n_fds. */
unsigned frame_take_fds(struct frame_in *in, int **ret_fds);
/* Closes fds that nobody took, frees, and makes ready for the next frame. */
void frame_in_reset(struct frame_in *in);

/*
 * Sends bytes [*off, len) of buf, with n_fds fds on the first of them, and
 * moves *off on.  0 when all is sent, -EAGAIN when the socket is full, or what
 * sendmsg(2) failed with.  The caller keeps the fds; they are on their way as
 * soon as *off is no longer 0.  Raises no SIGPIPE, see sys.h.  -EINVAL for
 * more fds than WIRE_QUEUES_MAX.
 */
int frame_send(int sock, const uint8_t *buf, size_t len, size_t *off,
	       const int *fds, unsigned n_fds);

#endif
