/*
 * A device that takes several queues admits everybody until it has an owner.  A
 * daemon of the fault build waits there (daemon/fault.h) for a thief without
 * rights, who does with it what an attached descriptor may; whoever gets the
 * device has one as the kernel makes it all the same.
 */
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <netinet/in.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <linux/bpf.h>
#include <linux/ethtool.h>
#include <linux/filter.h>
#include <linux/if.h>
#include <linux/if_arp.h>
#include <linux/if_ether.h>
#include <linux/if_tun.h>
#include <linux/sockios.h>
#include <linux/virtio_net.h>

#include "../../daemon/limits.h"
#include "harness.h"

/* <net/if.h> and <linux/if.h> do not go together. */
struct if_nameindex {
	unsigned if_index;
	char *if_name;
};
struct if_nameindex *if_nameindex(void);
void if_freenameindex(struct if_nameindex *list);

#define QUEUES		2
#define BIRTH		"tt-"
#define THIEFS_MAC	"\x02\x66\x66\x66\x66\x66"
#define THIEFS_GROUP	4666
#define OTHER_HEADER	64
#define ASKED		16	/* addresses on the device's link */

static struct rig rig;
static int program = -1;	/* an eBPF program that lets nothing through */

static int with_int(int fd, unsigned long request, int value)
{
	return ioctl(fd, request, &value);
}

static int drops_all(int fd)
{
	struct sock_filter nothing = BPF_STMT(BPF_RET | BPF_K, 0);
	struct sock_fprog f = { 1, &nothing };

	return ioctl(fd, TUNATTACHFILTER, &f);
}

static int hears_one_address(int fd)
{
	union {
		struct tun_filter filter;
		char room[sizeof(struct tun_filter) + 6];
	} f = { .filter = { .count = 1 } };

	memcpy(f.filter.addr[0], THIEFS_MAC, 6);
	return ioctl(fd, TUNSETTXFILTER, &f);
}

static int steers(int fd)
{
	return with_int(fd, TUNSETSTEERINGEBPF, program);
}

static int filters(int fd)
{
	return with_int(fd, TUNSETFILTEREBPF, program);
}

static int has_a_longer_header(int fd)
{
	return with_int(fd, TUNSETVNETHDRSZ, OTHER_HEADER);
}

static int has_another_order(int fd)
{
	return with_int(fd, TUNSETVNETLE, 1);
}

static int has_little_room(int fd)
{
	return with_int(fd, TUNSETSNDBUF, 1);
}

static int has_no_carrier(int fd)
{
	return with_int(fd, TUNSETCARRIER, 0);
}

static int has_another_mac(int fd)
{
	struct ifreq ifr = { .ifr_hwaddr.sa_family = ARPHRD_ETHER };

	memcpy(ifr.ifr_hwaddr.sa_data, THIEFS_MAC, 6);
	return ioctl(fd, SIOCSIFHWADDR, &ifr);
}

static int is_talked_about(int fd)
{
	return ioctl(fd, TUNSETDEBUG, ~0UL);
}

static int may_be_given_unfinished_ones(int fd)
{
	return ioctl(fd, TUNSETOFFLOAD,
		     (unsigned long)(TUN_F_CSUM | TUN_F_TSO4));
}

static int persists(int fd)
{
	return ioctl(fd, TUNSETPERSIST, 1);
}

static int has_an_owner(int fd)
{
	return ioctl(fd, TUNSETOWNER, (unsigned long)NOBODY);
}

static int has_a_group(int fd)
{
	return ioctl(fd, TUNSETGROUP, (unsigned long)THIEFS_GROUP);
}

static int is_of_another_type(int fd)
{
	return ioctl(fd, TUNSETLINK, (unsigned long)ARPHRD_LOOPBACK);
}

static int waits_detached(int fd)
{
	struct ifreq ifr = { .ifr_flags = IFF_DETACH_QUEUE };

	return ioctl(fd, TUNSETQUEUE, &ifr);
}

static int is_just_there(int fd)
{
	(void)fd;
	return 0;
}

static const struct deed {
	int (*deed)(int fd);
	enum ttd_layer layer;
	bool stays;		/* attached, while the device is made */
	bool anew;		/* no such device is given to anybody */
} deeds[] = {
	{ drops_all, TTD_TAP, .stays = false },
	{ hears_one_address, TTD_TAP, .stays = false },
	{ has_a_longer_header, TTD_TUN, .stays = false },
	{ has_another_order, TTD_TUN, .stays = false },
	{ has_little_room, TTD_TUN, .stays = false },
	{ has_no_carrier, TTD_TUN, .stays = false },
	{ has_another_mac, TTD_TAP, .stays = false },
	{ is_talked_about, TTD_TUN, .stays = false },
	{ may_be_given_unfinished_ones, TTD_TUN, .stays = false },
	{ persists, TTD_TUN, .anew = true },
	{ has_an_owner, TTD_TUN, .stays = false },	/* root's, in the end */
	{ has_a_group, TTD_TUN, .anew = true },
	{ is_of_another_type, TTD_TAP, .anew = true },
	{ is_just_there, TTD_TUN, .stays = true, .anew = true },
	{ waits_detached, TTD_TUN, .stays = true, .anew = true },
	{ persists, TTD_TUN, .stays = true, .anew = true },
}, with_programs[] = {
	{ steers, TTD_TUN, .stays = false },
	{ filters, TTD_TAP, .stays = false },
};

/* A device that is being born. */
struct birth {
	char name[IFNAMSIZ];
	const struct deed *deed;
};

/* Another one than b->name, which it becomes. */
static bool is_born(void *arg)
{
	struct birth *b = arg;
	struct if_nameindex *all = if_nameindex();
	bool found = false;

	for (struct if_nameindex *i = all; i && i->if_index && !found; i++) {
		found = strncmp(i->if_name, BIRTH, strlen(BIRTH)) == 0 &&
			strcmp(i->if_name, b->name) != 0;
		if (found)
			snprintf(b->name, sizeof(b->name), "%s", i->if_name);
	}
	if_freenameindex(all);
	return found;
}

/* Is it over with what he had? */
static bool is_cut_off(int fd)
{
	struct ifreq back = { .ifr_flags = IFF_ATTACH_QUEUE };
	char byte;

	return read(fd, &byte, sizeof(byte)) < 0 && errno == EBADFD &&
	       ioctl(fd, TUNSETQUEUE, &back) < 0;
}

static int attach(void *arg)
{
	const struct birth *b = arg;
	struct ifreq ifr = { .ifr_flags = (short)(IFF_NO_PI | IFF_MULTI_QUEUE |
		(b->deed->layer == TTD_TAP ? IFF_TAP : IFF_TUN)) };
	int fd = open("/dev/net/tun", O_RDWR | O_CLOEXEC | O_NONBLOCK);

	memcpy(ifr.ifr_name, b->name, sizeof(ifr.ifr_name));
	if (fd < 0 || ioctl(fd, TUNSETIFF, &ifr) < 0 ||
	    b->deed->deed(fd) < 0) {
		printf("not done: %s\n", strerror(errno));
		return 1;
	}
	if (!b->deed->stays)
		close(fd);
	puts("done");
	fflush(stdout);
	if (!b->deed->stays)
		return 0;
	for (int i = 0; i < DEADLINE_MS / STEP_MS && !is_cut_off(fd); i++)
		sleep_ms(STEP_MS);
	puts(is_cut_off(fd) ? "cut off" : "he still has it");
	return 0;
}

/* --- who gets it ------------------------------------------------------------ */

static bool ask(const char *name, unsigned long request, struct ifreq *ifr)
{
	int s = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0);
	bool told;

	memcpy(ifr->ifr_name, name, strlen(name));
	told = ioctl(s, request, ifr) == 0;
	close(s);
	return told;
}

static bool runs(void *arg)
{
	struct ifreq ifr = { 0 };

	return ask(arg, SIOCGIFFLAGS, &ifr) && (ifr.ifr_flags & IFF_RUNNING);
}

/* As ethtool(8) tells it; not 0 if it does not. */
static unsigned figure_of(const char *name, unsigned command)
{
	struct ethtool_value value = { .cmd = command };
	struct ifreq ifr = { .ifr_data = (void *)&value };

	return ask(name, SIOCETHTOOL, &ifr) ? value.data : ~0u;
}

/* What is wrong with a device of the kernel's making, or NULL. */
static const char *is_wrong(int fd, const char *name)
{
	int value = 0;

	if (ioctl(fd, TUNGETVNETHDRSZ, &value) < 0 ||
	    value != (int)sizeof(struct virtio_net_hdr))
		return "a header of another length";
	if (ioctl(fd, TUNGETVNETLE, &value) < 0 || value)
		return "a header in another order";
	if (ioctl(fd, TUNGETSNDBUF, &value) < 0 || value != INT_MAX)
		return "little room";
	if (figure_of(name, ETHTOOL_GMSGLVL))
		return "the kernel talks about it";
	if (figure_of(name, ETHTOOL_GTSO))
		return "offload";
	/* The kernel takes its time: before 6.18 up to a second was seen. */
	return eventually(runs, (void *)(uintptr_t)name) ? NULL : "no carrier";
}

/* One of the questions that the host asks, on either queue. */
static bool reads_a_question(struct ttd_device *dev)
{
	struct pollfd p[QUEUES];
	uint8_t frame[ETH_FRAME_LEN];

	for (unsigned i = 0; i < QUEUES; i++)
		p[i] = (struct pollfd){ .fd = ttd_fd(dev, i),
					.events = POLLIN };
	while (poll(p, QUEUES, DEADLINE_MS) > 0)
		for (unsigned i = 0; i < QUEUES; i++)
			if (p[i].revents &&
			    read(p[i].fd, frame, sizeof(frame)) > ETH_HLEN &&
			    memcmp(frame + 2 * ETH_ALEN, "\x08\x06", 2) == 0)
				return true;
	return false;
}

/* Whom it asks about are so many that each queue has some of it. */
static bool reads_all(struct ttd_device *dev)
{
	struct sockaddr_in to = { .sin_family = AF_INET, .sin_port = htons(9) };
	int s = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);
	unsigned n = 0;

	for (unsigned i = 0; i < ASKED; i++) {
		to.sin_addr.s_addr = htonl(0x0a090002 + i);
		sendto(s, "", 1, 0, (struct sockaddr *)&to, sizeof(to));
	}
	close(s);
	while (n < ASKED && reads_a_question(dev))
		n++;
	return n == ASKED;
}

static int open_it(void *arg)
{
	const struct deed *deed = arg;
	struct ttd_options o = TTD_OPTIONS_INIT(deed->layer);
	struct ttd_addr addr = { .local = prefix("10.9.0.1/24") };
	struct ttd_device *dev;
	struct ttd_error e;
	const char *wrong;
	char name[TTD_NAME_MAX] = "";
	uint8_t mac[6];

	o.socket_path = rig.socket;
	o.queues = QUEUES;
	o.offload = TTD_OFFLOAD_NONE;
	o.addrs = &addr;
	o.n_addrs = 1;
	if (ttd_open(&o, &dev, &e)) {
		puts(e.text);
		return 0;
	}
	ttd_name(dev, name);
	wrong = is_wrong(ttd_fd(dev, 0), name);
	if (!wrong && deed->layer == TTD_TAP &&
	    (ttd_hwaddr(dev, mac) || memcmp(mac, THIEFS_MAC, 6) == 0))
		wrong = "his MAC address";
	if (!wrong && deed->layer == TTD_TAP && !reads_all(dev))
		wrong = "not all of the host comes";
	puts(wrong ? wrong : "as it should be");
	fflush(stdout);
	pause();
	return 0;
}

/* --- eBPF ------------------------------------------------------------------- */

static int bpf(int command, union bpf_attr *attr)
{
	return (int)syscall(SYS_bpf, command, attr, sizeof(*attr));
}

/* One that returns 0; its id.  0: not here. */
static uint32_t load_program(void)
{
	static const struct bpf_insn zero[] = {
		{ .code = BPF_ALU64 | BPF_MOV | BPF_K },
		{ .code = BPF_JMP | BPF_EXIT },
	};
	struct bpf_prog_info info = { 0 };
	union bpf_attr attr = { 0 };

	attr.prog_type = BPF_PROG_TYPE_SOCKET_FILTER;
	attr.insns = (uintptr_t)zero;
	attr.insn_cnt = sizeof(zero) / sizeof(*zero);
	attr.license = (uintptr_t)"";
	program = bpf(BPF_PROG_LOAD, &attr);
	if (program < 0)
		return 0;
	memset(&attr, 0, sizeof(attr));
	attr.info.bpf_fd = (uint32_t)program;
	attr.info.info_len = sizeof(info);
	attr.info.info = (uintptr_t)&info;
	return bpf(BPF_OBJ_GET_INFO_BY_FD, &attr) ? 0 : info.id;
}

/* The kernel has no program any more that nobody holds. */
static bool is_forgotten(void *arg)
{
	union bpf_attr attr = { .prog_id = *(const uint32_t *)arg };
	int fd = bpf(BPF_PROG_GET_FD_BY_ID, &attr);

	if (fd >= 0)
		close(fd);
	return fd < 0 && errno == ENOENT;
}

/* --- tests ------------------------------------------------------------------ */

static void start(void)
{
	struct rig_options o = { .node_mode = NODE_OPEN, .fault_build = true };

	rig_start(&rig, &o);
	rig_wait_at(&rig, "TUNSETOWNER");
}

/* Does it with what is born now. */
static void steal(struct client *thief, struct birth *b)
{
	ck_assert_msg(eventually(is_born, b), "no device is made");
	client_start(thief, attach, b);
	ck_assert_str_eq(client_line(thief, ""), "done");
}

/* Whoever opens it has a good one, and the thief nothing. */
static void finish(const struct birth *b, struct client *holder,
		   struct client *thief)
{
	rig_wait_at(&rig, NULL);
	ck_assert_str_eq(client_line(holder, ""), "as it should be");
	if (b->deed->stays)
		ck_assert_str_eq(client_line(thief, ""), "cut off");
	ck_assert_int_eq(client_wait(thief), 0);
}

START_TEST(a_device_is_as_the_kernel_makes_it)
{
	struct birth b = { .deed = &deeds[_i] };
	struct client holder = { .pid = -1 }, thief = { .pid = -1 };
	char first[IFNAMSIZ];

	start();
	client_start(&holder, open_it, (void *)(uintptr_t)b.deed);
	steal(&thief, &b);
	memcpy(first, b.name, sizeof(first));
	if (b.deed->anew) {
		/* It is made once more, and he comes too late. */
		rig_wait_at(&rig, "TUNSETOWNER");
		ck_assert_msg(eventually(is_born, &b), "it is not made anew");
		ck_assert(!link_exists(first));
	}
	finish(&b, &holder, &thief);
	client_kill(&holder, SIGKILL);
	rig_end(&rig);
}
END_TEST

START_TEST(no_program_of_somebodys_is_left)
{
	struct birth b = { .deed = &with_programs[_i] };
	struct client holder = { .pid = -1 }, thief = { .pid = -1 };
	uint32_t id;

	start();
	/* Before there is a program: it would inherit it. */
	client_start(&holder, open_it, (void *)(uintptr_t)b.deed);
	id = load_program();
	if (id) {
		steal(&thief, &b);
		finish(&b, &holder, &thief);
		close(program);
		ck_assert(eventually(is_forgotten, &id));
	} else {
		puts("SKIP no_program_of_somebodys_is_left: no eBPF program can "
		     "be loaded here");
		rig_wait_at(&rig, NULL);
	}
	client_kill(&holder, SIGKILL);
	rig_end(&rig);
}
END_TEST

START_TEST(who_always_comes_first_gets_nothing)
{
	static const struct deed deed = { is_just_there, TTD_TUN,
					  .stays = true };
	struct birth b = { .deed = &deed };
	struct client holder = { .pid = -1 }, thieves[LIMIT_BIRTHS];
	char *before = NULL, each[32];

	snprintf(each, sizeof(each), "each of the %d times", LIMIT_BIRTHS);
	start();
	before = host_state();
	client_start(&holder, open_it, (void *)(uintptr_t)&deed);
	for (int i = 0; i < LIMIT_BIRTHS; i++) {
		steal(&thieves[i], &b);
		rig_wait_at(&rig, i + 1 < LIMIT_BIRTHS ? "TUNSETOWNER" : NULL);
	}
	ck_assert_ptr_nonnull(strstr(client_line(&holder, ""), each));
	client_wait(&holder);
	for (int i = 0; i < LIMIT_BIRTHS; i++) {
		ck_assert_str_eq(client_line(&thieves[i], ""), "cut off");
		client_wait(&thieves[i]);
	}
	host_unchanged(before);
	rig_end(&rig);
}
END_TEST

int main(void)
{
	Suite *s = suite_create("birth");
	TCase *t = tcase_create("live");

	tcase_set_timeout(t, 60);
	tcase_add_loop_test(t, a_device_is_as_the_kernel_makes_it, 0,
			    sizeof(deeds) / sizeof(*deeds));
	tcase_add_loop_test(t, no_program_of_somebodys_is_left, 0,
			    sizeof(with_programs) / sizeof(*with_programs));
	tcase_add_test(t, who_always_comes_first_gets_nothing);
	suite_add_tcase(s, t);
	return live_main("birth", s);
}
