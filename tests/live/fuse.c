/*
 * It answers all but writes.
 *
 * With FUSE_WRITEBACK_CACHE the kernel writes what is dirty of a file when a
 * reference to it ends, whoever made it dirty by whatever descriptor, and waits
 * for that.  So fuse_end() closes first, while all is clean, and makes the file
 * dirty by another descriptor, which it keeps.
 */
#include "fuse.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <sched.h>
#include <signal.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <unistd.h>

#include <linux/fuse.h>

#define NODE		"/run/fuse"
#define FOLDER		"/run/withheld"
#define FUSE_MAJOR	10
#define FUSE_MINOR	229
#define PAGE		4096
#define REQUEST_MAX	(1 << 17)
#define FIRST_FILE	2	/* after FUSE_ROOT_ID */
#define FOREVER		3600	/* seconds */
#define LOOK_MS		100

static int device = -1;
static pid_t server;

/* --- answers ------------------------------------------------------------ */

static void answer(uint64_t unique, int error, const void *data, size_t len)
{
	static struct {
		struct fuse_out_header head;
		uint8_t data[PAGE];
	} out;

	out.head.len = (uint32_t)(sizeof(out.head) + len);
	out.head.error = error;
	out.head.unique = unique;
	if (len > 0)
		memcpy(out.data, data, len);
	(void)!write(device, &out, out.head.len);
}

static struct fuse_attr attributes(uint64_t node)
{
	return (struct fuse_attr){
		.ino = node, .size = PAGE, .blocks = 1, .nlink = 1,
		.mode = node == FUSE_ROOT_ID ? S_IFDIR | 0755 : S_IFREG | 0600,
		.uid = getuid(), .gid = getgid(), .blksize = PAGE,
	};
}

static void answer_init(const struct fuse_in_header *in)
{
	struct fuse_init_out out = {
		.major = FUSE_KERNEL_VERSION,
		.minor = FUSE_KERNEL_MINOR_VERSION,
		.flags = FUSE_WRITEBACK_CACHE | FUSE_BIG_WRITES,
		.max_write = PAGE,
	};

	answer(in->unique, 0, &out, sizeof(out));
}

/* The name is the number of the file. */
static void answer_lookup(const struct fuse_in_header *in)
{
	struct fuse_entry_out out = {
		.entry_valid = FOREVER, .attr_valid = FOREVER,
		.nodeid = FIRST_FILE + strtoul((const char *)(in + 1), NULL, 10),
	};

	out.attr = attributes(out.nodeid);
	answer(in->unique, 0, &out, sizeof(out));
}

static void answer_attributes(const struct fuse_in_header *in)
{
	struct fuse_attr_out out = { .attr_valid = FOREVER };

	out.attr = attributes(in->nodeid);
	answer(in->unique, 0, &out, sizeof(out));
}

static void answer_open(const struct fuse_in_header *in)
{
	struct fuse_open_out out = { .fh = in->nodeid };

	answer(in->unique, 0, &out, sizeof(out));
}

static void serve(const struct fuse_in_header *in)
{
	static const uint8_t zeroes[PAGE];

	switch (in->opcode) {
	case FUSE_INIT:
		answer_init(in);
		break;
	case FUSE_LOOKUP:
		answer_lookup(in);
		break;
	case FUSE_GETATTR:
	case FUSE_SETATTR:
		answer_attributes(in);
		break;
	case FUSE_OPEN:
		answer_open(in);
		break;
	case FUSE_READ:
		answer(in->unique, 0, zeroes, sizeof(zeroes));
		break;
	case FUSE_FLUSH:
	case FUSE_RELEASE:
		answer(in->unique, 0, NULL, 0);
		break;
	case FUSE_WRITE:	/* never */
	case FUSE_FORGET:	/* these have no answer */
	case FUSE_BATCH_FORGET:
	case FUSE_INTERRUPT:
		break;
	default:
		answer(in->unique, -ENOSYS, NULL, 0);
	}
}

static bool is_gone(pid_t pid)
{
	return kill(pid, 0) < 0 && errno == ESRCH;
}

/*
 * In a process of its own, which has none of its files: when it is killed, what
 * waits for it waits no longer.  It does not wait for the end of its parent,
 * which may wait for it.
 */
static int start_server(pid_t until)
{
	static union {
		struct fuse_in_header head;
		uint8_t bytes[REQUEST_MAX];
	} in;

	server = fork();
	if (server > 0)
		close(device);
	if (server != 0)
		return server < 0 ? -errno : 0;
	for (;;) {
		struct pollfd p = { .fd = device, .events = POLLIN };
		ssize_t n;

		/* Also where a test failed, and killed nobody. */
		if (poll(&p, 1, LOOK_MS) == 0 && is_gone(until))
			_exit(0);
		if (!p.revents)
			continue;
		n = read(device, &in, sizeof(in));
		if (n >= (ssize_t)sizeof(in.head))
			serve(&in.head);
		else if (n < 0 && errno != EINTR && errno != ENOENT)
			_exit(0);	/* unmounted */
	}
}

/* --- mounting ----------------------------------------------------------- */

/* As most systems have it; in the rig's own /run. */
void fuse_prepare(void)
{
	mode_t old = umask(0);

	mknod(NODE, S_IFCHR | 0666, makedev(FUSE_MAJOR, FUSE_MINOR));
	mkdir(FOLDER, 0755);
	umask(old);
}

static int write_to(const char *path, const char *text)
{
	int fd = open(path, O_WRONLY | O_CLOEXEC), error = 0;

	if (fd < 0)
		return -errno;
	if (write(fd, text, strlen(text)) < 0)
		error = -errno;
	close(fd);
	return error;
}

/* All rights, but in namespaces of this process. */
static int own_namespaces(void)
{
	char uids[32], gids[32];
	int error;

	snprintf(uids, sizeof(uids), "%u %u 1", getuid(), getuid());
	snprintf(gids, sizeof(gids), "%u %u 1", getgid(), getgid());
	/* Who has changed his uid has not even his own files of /proc. */
	prctl(PR_SET_DUMPABLE, 1);
	if (unshare(CLONE_NEWUSER | CLONE_NEWNS) < 0)
		return -errno;
	error = write_to("/proc/self/setgroups", "deny");
	if (!error)
		error = write_to("/proc/self/uid_map", uids);
	if (!error)
		error = write_to("/proc/self/gid_map", gids);
	return error;
}

int fuse_start(pid_t until)
{
	int error = own_namespaces();
	char options[128];

	if (error)
		return error;
	device = open(NODE, O_RDWR | O_CLOEXEC);
	if (device < 0)
		return -errno;
	snprintf(options, sizeof(options),
		 "fd=%d,rootmode=40000,user_id=%u,group_id=%u", device,
		 getuid(), getgid());
	if (mount("withheld", FOLDER, "fuse", MS_NOSUID | MS_NODEV, options) < 0)
		return -errno;
	return start_server(until);
}

void fuse_stop(void)
{
	kill(server, SIGKILL);
}

/* --- files -------------------------------------------------------------- */

static unsigned files;

static int open_file(void)
{
	char path[64];

	snprintf(path, sizeof(path), FOLDER "/%u", files);
	return open(path, O_RDWR | O_CLOEXEC);
}

int fuse_file(void)
{
	files++;
	return open_file();
}

void fuse_end(int fd)
{
	static const uint8_t page[PAGE];

	close(fd);
	/* Open until this process ends. */
	fd = open_file();
	(void)!write(fd, page, sizeof(page));
}
