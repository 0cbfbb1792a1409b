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

/* The last n, which the kernel has not seen. */
static void take_back(struct ring *ring, unsigned n)
{
	atomic_fetch_sub_explicit(ring->sq_tail, n, memory_order_release);
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

/* How many the kernel took of those that were put; 0 or less: none. */
static long enter(const struct ring *ring, unsigned n, unsigned wait)
{
	long r;

	do
		r = syscall(SYS_io_uring_enter, ring->fd, n, wait,
			    IORING_ENTER_GETEVENTS, NULL, 0);
	while (r < 0 && errno == EINTR);
	return r;
}

/*
 * How many were carried out, with a length or -errno of each.  Those that the
 * kernel does not take, for want of memory or because it is forbidden by now,
 * are never asked for again; errno says why.
 */
static unsigned run(struct ring *ring, uint8_t opcode, int fd,
		    const struct ttd_packet *packets, unsigned n, int *results)
{
	unsigned taken = 0, done = 0;

	put(ring, opcode, fd, packets, n);
	while (taken < n) {
		long r = enter(ring, n - taken, n - done);

		if (r <= 0)
			break;
		taken += (unsigned)r;
		done += take(ring, results);
	}
	take_back(ring, n - taken);
	/* Those it took it has carried out, as none of them may wait. */
	return smaller(done, n);
}

static unsigned run_alone(struct ring *ring, uint8_t opcode, int fd,
			  const struct ttd_packet *packets, unsigned n,
			  int *results)
{
	unsigned done;

	pthread_mutex_lock(&ring->mutex);
	done = run(ring, opcode, fd, packets, n, results);
	pthread_mutex_unlock(&ring->mutex);
	return done;
}

/*
 * Of no bytes: a tun reads nothing then (tun_do_read in drivers/net/tun.c).
 * EOPNOTSUPP of one that knows no RWF_NOWAIT, which is before Linux 6.4; EINVAL
 * of a kernel that has no such request, which is before 5.6.
 */
int ring_try(struct ring *ring, int fd)
{
	const struct ttd_packet nothing = { .data = ring, .len = 0 };
	int result = 0;

	if (!run_alone(ring, IORING_OP_READ, fd, &nothing, 1, &result))
		return -errno;
	return result == -EOPNOTSUPP || result == -EINVAL ? -EOPNOTSUPP : 0;
}

/* Where one found nothing, but one behind it did, there is no hole. */
static bool read_some(struct ring *ring, int fd, struct ttd_packet *packets,
		      unsigned n, int *ret)
{
	int results[TTD_BATCH_MAX] = { 0 }, error = -EAGAIN, got = 0;
	unsigned done = run_alone(ring, IORING_OP_READ, fd, packets, n,
				  results);

	for (unsigned i = 0; i < done; i++) {
		if (results[i] <= 0) {
			if (error == -EAGAIN)
				error = results[i] ? results[i] : -EIO;
			continue;
		}
		packets[got] = packets[i];
		packets[got++].len = (uint32_t)results[i];
	}
	*ret = got > 0 ? got : error;
	return done > 0;
}

/*
 * Requests that find nothing cost a packet's delay: so many are made as there
 * were packets last time, and one, and more of them if there were as many.
 */
bool ring_read(struct ring *ring, int fd, struct ttd_packet *packets,
	       unsigned n, int *ret)
{
	unsigned got = 0, some;
	bool works;

	do {
		some = smaller(n - got, got > 0 ? got : ring->likely);
		works = read_some(ring, fd, packets + got, some, ret);
		got += *ret > 0 ? (unsigned)*ret : 0;
	} while (works && *ret == (int)some && got < n);
	ring->likely = smaller(got + 1, TTD_BATCH_MAX);
	if (got > 0)
		*ret = (int)got;
	return works || got > 0;
}

unsigned ring_write(struct ring *ring, int fd, const struct ttd_packet *packets,
		    unsigned n, int *ret_error)
{
	int results[TTD_BATCH_MAX] = { 0 };
	unsigned done = run_alone(ring, IORING_OP_WRITE, fd, packets, n,
				  results);

	*ret_error = done > 0 ? results[0] : 0;
	for (unsigned i = 0; i < done; i++)
		if (results[i] >= 0)
			*ret_error = 0;
	return done;
}
