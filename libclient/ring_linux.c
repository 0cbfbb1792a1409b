/*
 * io_uring(7) by its system calls, so that the library needs no other one.
 *
 * Each request says RWF_NOWAIT: it is carried out, or cannot be, before
 * io_uring_enter(2) returns, in the order of the requests (io_submit_sqes in
 * io_uring/io_uring.c); without it a read of an empty device would stay behind,
 * and take a packet from whoever comes next.  None is linked to the one before
 * (IOSQE_IO_LINK): those are carried out one by one, and nothing is gained.
 */
#include "ring.h"

#include <errno.h>
#include <linux/fs.h>
#include <linux/io_uring.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <unistd.h>

struct ring {
	int fd;
	pthread_mutex_t mutex;	/* all below is under it */
	int broken;		/* -errno that nobody expects; from then on */
	struct io_uring_params params;
	uint8_t *rings;		/* both of them, as the kernel shares them */
	size_t rings_size;
	struct io_uring_sqe *sqes;
	size_t sqes_size;
	_Atomic unsigned *sq_tail, *cq_head, *cq_tail;
	const struct io_uring_cqe *cqes;
	unsigned likely;	/* packets that will be there; its reader's */
};

static unsigned smaller(unsigned a, unsigned b)
{
	return a < b ? a : b;
}

static size_t larger(size_t a, size_t b)
{
	return a > b ? a : b;
}

static void *map(const struct ring *ring, size_t size, off_t what)
{
	void *at = mmap(NULL, size, PROT_READ | PROT_WRITE,
			MAP_SHARED | MAP_POPULATE, ring->fd, what);

	return at == MAP_FAILED ? NULL : at;
}

static bool map_all(struct ring *ring)
{
	const struct io_uring_params *p = &ring->params;
	unsigned *order;

	ring->rings_size = larger(
		p->sq_off.array + p->sq_entries * sizeof(unsigned),
		p->cq_off.cqes + p->cq_entries * sizeof(struct io_uring_cqe));
	ring->sqes_size = p->sq_entries * sizeof(struct io_uring_sqe);
	ring->rings = map(ring, ring->rings_size, IORING_OFF_SQ_RING);
	ring->sqes = map(ring, ring->sqes_size, IORING_OFF_SQES);
	if (!ring->rings || !ring->sqes)
		return false;
	ring->sq_tail = (void *)(ring->rings + p->sq_off.tail);
	ring->cq_head = (void *)(ring->rings + p->cq_off.head);
	ring->cq_tail = (void *)(ring->rings + p->cq_off.tail);
	ring->cqes = (void *)(ring->rings + p->cq_off.cqes);
	order = (void *)(ring->rings + p->sq_off.array);
	for (unsigned i = 0; i < p->sq_entries; i++)
		order[i] = i;
	return true;
}

struct ring *ring_new(int *ret_error)
{
	struct ring *ring = calloc(1, sizeof(*ring));

	if (!ring) {
		*ret_error = -ENOMEM;
		return NULL;
	}
	pthread_mutex_init(&ring->mutex, NULL);
	ring->likely = 1;
	/* It is close-on-exec (io_uring_setup(2)). */
	ring->fd = (int)syscall(SYS_io_uring_setup, TTD_BATCH_MAX,
				&ring->params);
	if (ring->fd < 0)
		*ret_error = -errno;
	else if (!(ring->params.features & IORING_FEAT_SINGLE_MMAP))
		*ret_error = -EOPNOTSUPP;
	else
		*ret_error = map_all(ring) ? 0 : -ENOMEM;
	if (*ret_error == 0)
		return ring;
	ring_free(ring);
	return NULL;
}

void ring_free(struct ring *ring)
{
	if (!ring)
		return;
	if (ring->rings)
		munmap(ring->rings, ring->rings_size);
	if (ring->sqes)
		munmap(ring->sqes, ring->sqes_size);
	if (ring->fd >= 0)
		close(ring->fd);
	pthread_mutex_destroy(&ring->mutex);
	free(ring);
}

static void put(struct ring *ring, uint8_t opcode, int fd,
		const struct ttd_packet *packets, unsigned n)
{
	unsigned tail = atomic_load_explicit(ring->sq_tail,
					     memory_order_relaxed);

	for (unsigned i = 0; i < n; i++)
		ring->sqes[(tail + i) % ring->params.sq_entries] =
			(struct io_uring_sqe){
				.opcode = opcode,
				.fd = fd,
				.addr = (uintptr_t)packets[i].data,
				.len = packets[i].len,
				.rw_flags = RWF_NOWAIT,
				.user_data = i,
			};
	atomic_store_explicit(ring->sq_tail, tail + n, memory_order_release);
}

/* How many are done. */
static unsigned take(struct ring *ring, int *results)
{
	unsigned tail = atomic_load_explicit(ring->cq_tail,
					     memory_order_acquire);
	unsigned head = atomic_load_explicit(ring->cq_head,
					     memory_order_relaxed);
	unsigned n = tail - head;

	for (; head != tail; head++) {
		const struct io_uring_cqe *cqe =
			&ring->cqes[head % ring->params.cq_entries];

		results[cqe->user_data] = cqe->res;
	}
	atomic_store_explicit(ring->cq_head, head, memory_order_release);
	return n;
}

/* 0, with a length or -errno of each of them. */
static int run(struct ring *ring, uint8_t opcode, int fd,
	       const struct ttd_packet *packets, unsigned n, int *results)
{
	unsigned unsaid = n, done = 0;

	if (ring->broken)
		return ring->broken;
	put(ring, opcode, fd, packets, n);
	while (done < n) {
		long r = syscall(SYS_io_uring_enter, ring->fd, unsaid,
				 n - done, IORING_ENTER_GETEVENTS, NULL, 0);

		if (r > 0)
			unsaid -= (unsigned)r;
		/* EAGAIN: the kernel had no memory for it at this moment */
		else if (r < 0 && errno != EINTR && errno != EAGAIN)
			return ring->broken = -errno;
		done += take(ring, results);
	}
	return 0;
}

static int run_alone(struct ring *ring, uint8_t opcode, int fd,
		     const struct ttd_packet *packets, unsigned n, int *results)
{
	int r;

	pthread_mutex_lock(&ring->mutex);
	r = run(ring, opcode, fd, packets, n, results);
	pthread_mutex_unlock(&ring->mutex);
	return r;
}

/*
 * Of no bytes: a tun reads nothing then (tun_do_read in drivers/net/tun.c).
 * -EOPNOTSUPP of one that knows no RWF_NOWAIT, which is before Linux 6.4.
 */
int ring_try(struct ring *ring, int fd)
{
	const struct ttd_packet nothing = { .data = ring, .len = 0 };
	int result;
	int r = run_alone(ring, IORING_OP_READ, fd, &nothing, 1, &result);

	if (r == 0 && result < 0)
		r = result;
	return r;
}

/* Where one found nothing and the next one did, there is no hole. */
static int read_some(struct ring *ring, int fd, struct ttd_packet *packets,
		     unsigned n)
{
	int results[TTD_BATCH_MAX], error = -EAGAIN, got = 0;
	int r = run_alone(ring, IORING_OP_READ, fd, packets, n, results);

	if (r < 0)
		return r;
	for (unsigned i = 0; i < n; i++) {
		if (results[i] <= 0) {
			if (error == -EAGAIN)
				error = results[i] ? results[i] : -EIO;
			continue;
		}
		packets[got] = packets[i];
		packets[got++].len = (uint32_t)results[i];
	}
	return got > 0 ? got : error;
}

/*
 * Requests that find nothing cost a packet's delay: so many are made as there
 * were packets last time, and one, and more of them if there were as many.
 */
int ring_read(struct ring *ring, int fd, struct ttd_packet *packets,
	      unsigned n)
{
	unsigned got = 0, some;
	int r;

	do {
		some = smaller(n - got, got > 0 ? got : ring->likely);
		r = read_some(ring, fd, packets + got, some);
		got += r > 0 ? (unsigned)r : 0;
	} while (r == (int)some && got < n);
	ring->likely = smaller(got + 1, TTD_BATCH_MAX);
	return got > 0 ? (int)got : r;
}

int ring_write(struct ring *ring, int fd, const struct ttd_packet *packets,
	       unsigned n)
{
	int results[TTD_BATCH_MAX];
	int r = run_alone(ring, IORING_OP_WRITE, fd, packets, n, results);

	if (r < 0)
		return r;
	for (unsigned i = 0; i < n; i++)
		if (results[i] >= 0)
			return (int)n;
	return results[0];
}
