/*
 * The played XNU (tests/darwin/xnu): each of its rules, kept and broken.  What
 * is written here is what the kernel's sources say, not what a backend does.
 */
#include <arpa/inet.h>
#include <check.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "../darwin/xnu/xnu.h"

#define INET		XNU_AF_INET
#define INET6		XNU_AF_INET6
#define FOREVER		XNU_ND6_INFINITE
#define ROOM		512
#define MANY		150	/* more than a batch takes */
#define ABORTED		3	/* how a child says that it did */

#define fails(call, error) \
	do { \
		ck_assert_int_eq(call, -1); \
		ck_assert_str_eq(xnu_error_name(xnu_errno), #error); \
	} while (0)
#define works(call)	ck_assert_int_eq(call, 0)

static void setup(void)
{
	xnu_reset();
}

static void teardown(void)
{
	xnu_reset();
}

static void put2(uint8_t *at, unsigned value)
{
	at[0] = (uint8_t)value;
	at[1] = (uint8_t)(value >> 8);
}

static void put4(uint8_t *at, uint32_t value)
{
	put2(at, value & 0xffff);
	put2(at + 2, value >> 16);
}

static uint32_t get4(const uint8_t *at)
{
	return at[0] | (uint32_t)at[1] << 8 | (uint32_t)at[2] << 16 |
	       (uint32_t)at[3] << 24;
}

static void put_pointer(uint8_t *at, const void *pointer)
{
	memcpy(at, &pointer, sizeof(pointer));
}

/* An end that valgrind has no words for. */
static void aborted(int signal)
{
	(void)signal;
	_exit(ABORTED);
}

/* Does it end the process, with a sentence? */
static bool dies(void (*what)(void))
{
	int status;
	const pid_t pid = fork();

	ck_assert_int_ne(pid, -1);
	if (pid == 0) {
		if (signal(SIGABRT, aborted) == SIG_ERR ||
		    !freopen("/dev/null", "w", stderr))
			_exit(EXIT_FAILURE);
		what();
		_exit(EXIT_SUCCESS);
	}
	ck_assert_int_eq(waitpid(pid, &status, 0), pid);
	return WIFEXITED(status) && WEXITSTATUS(status) == ABORTED;
}

static const char claim[] = "/var/run/claim";

static int open_claim(int more)
{
	return xnu_open(claim, XNU_O_RDWR | XNU_O_CREAT | more, 0600);
}

static int lock(int fd)
{
	return xnu_flock(fd, XNU_LOCK_EX | XNU_LOCK_NB);
}

/* --- processes, files --- */

START_TEST(a_lock_is_of_what_was_opened)
{
	const int one = open_claim(0), other = open_claim(0);

	works(lock(one));
	works(lock(one));
	fails(lock(other), EAGAIN);
	works(xnu_close(one));
	works(lock(other));
	fails(lock(one), EBADF);
}
END_TEST

START_TEST(a_copy_keeps_the_lock)
{
	const int one = open_claim(0), other = open_claim(0);
	const int copy = xnu_dup(one);

	works(lock(one));
	works(xnu_close(one));
	fails(lock(other), EAGAIN);
	works(xnu_close(copy));
	works(lock(other));
}
END_TEST

START_TEST(files_are_opened)
{
	fails(xnu_open(claim, XNU_O_RDWR, 0), ENOENT);
	ck_assert(!xnu_closes_on_exec(open_claim(0)));
	ck_assert(xnu_closes_on_exec(open_claim(XNU_O_CLOEXEC)));
	xnu_symlink("/var/run/link");
	fails(xnu_open("/var/run/link", XNU_O_RDWR | XNU_O_NOFOLLOW, 0), ELOOP);
	xnu_euid(501);
	fails(open_claim(0), EACCES);
}
END_TEST

START_TEST(root_becomes_another_for_good)
{
	works(xnu_setuid(501));
	ck_assert_str_eq(xnu_who(), "uid 501 501 501 gid 0 0 0 groups 0");
	fails(xnu_setuid(0), EPERM);
	fails(xnu_setgid(20), EPERM);
	fails(xnu_setgroups(0, NULL), EPERM);
	works(xnu_setuid(501));
}
END_TEST

START_TEST(no_group_is_the_first)
{
	const uint32_t others[] = { 12, 61 };

	xnu_groups(20, others, 2);
	works(xnu_setgid(61));
	ck_assert_str_eq(xnu_who(), "uid 0 0 0 gid 61 61 61 groups 61 12 20");
	works(xnu_setgroups(0, NULL));
	ck_assert_str_eq(xnu_who(), "uid 0 0 0 gid 61 0 61 groups 0");
	works(xnu_setgroups(2, others));
	ck_assert_str_eq(xnu_who(), "uid 0 0 0 gid 61 12 61 groups 12 61");
	fails(xnu_setgroups(17, others), EINVAL);
}
END_TEST

START_TEST(a_pipe_stays_open_at_exec)
{
	int fds[2];

	works(xnu_pipe(fds));
	ck_assert(!xnu_closes_on_exec(fds[0]));
	ck_assert(!xnu_closes_on_exec(fds[1]));
}
END_TEST

/* --- utun --- */

static int control(void)
{
	const int fd = xnu_socket(XNU_AF_SYSTEM, XNU_SOCK_DGRAM,
				  XNU_SYSPROTO_CONTROL);

	ck_assert_int_ge(fd, XNU_FIRST_FD);
	return fd;
}

static uint32_t control_id(void)
{
	uint8_t info[100] = { 0 };
	const int fd = control();

	strcpy((char *)info + XNU_CTL_INFO_NAME, "com.apple.net.utun_control");
	works(xnu_ioctl(fd, XNU_CTLIOCGINFO, info));
	works(xnu_close(fd));
	return get4(info);
}

static int connect_unit(int fd, uint32_t unit)
{
	const uint32_t id = control_id();
	uint8_t name[XNU_SOCKADDR_CTL_SIZE] = { XNU_SOCKADDR_CTL_SIZE,
						XNU_AF_SYSTEM,
						XNU_AF_SYS_CONTROL };

	put4(name + XNU_SC_ID, id);
	put4(name + XNU_SC_UNIT, unit);
	return xnu_connect(fd, name, sizeof(name));
}

/* An fd of utun0 and so on, as the first free unit. */
static int utun(void)
{
	const int fd = control();

	works(connect_unit(fd, 0));
	return fd;
}

static const char *name_of(int fd)
{
	static char name[XNU_IFNAMSIZ];
	uint32_t len = sizeof(name);

	works(xnu_getsockopt(fd, XNU_SYSPROTO_CONTROL, XNU_UTUN_OPT_IFNAME,
			     name, &len));
	ck_assert_uint_eq(len, strlen(name) + 1);
	return name;
}

START_TEST(controls_are_known_by_name)
{
	uint8_t info[100] = { 0 };
	const int fd = control();

	fails(xnu_ioctl(fd, XNU_CTLIOCGINFO, info), EINVAL);
	memset(info + XNU_CTL_INFO_NAME, 'x', XNU_CTL_NAME_MAX);
	fails(xnu_ioctl(fd, XNU_CTLIOCGINFO, info), EINVAL);
	info[99] = 0;
	fails(xnu_ioctl(fd, XNU_CTLIOCGINFO, info), ENOENT);
	xnu_euid(501);
	ck_assert_uint_ne(control_id(), 0);
	fails(xnu_ioctl(xnu_socket(INET, XNU_SOCK_DGRAM, 0), XNU_CTLIOCGINFO,
			info), ENXIO);
	fails(xnu_ioctl(1999, XNU_CTLIOCGINFO, info), EBADF);
}
END_TEST

/* In the order in which they are looked at. */
START_TEST(connect_refuses)
{
	uint8_t name[XNU_SOCKADDR_CTL_SIZE] = { XNU_SOCKADDR_CTL_SIZE,
						XNU_AF_SYSTEM,
						XNU_AF_SYS_CONTROL };
	const int fd = control(), held = utun();
	const int stream = xnu_socket(XNU_AF_SYSTEM, XNU_SOCK_STREAM,
				      XNU_SYSPROTO_CONTROL);

	xnu_euid(501);
	fails(xnu_connect(fd, name, 256), ENAMETOOLONG);
	fails(xnu_connect(fd, name, 1), EINVAL);
	fails(xnu_connect(fd, name, sizeof(name) - 1), EINVAL);
	fails(xnu_connect(fd, name, sizeof(name)), ENOENT);
	fails(connect_unit(stream, 0), EPROTOTYPE);
	fails(connect_unit(fd, 1), EPERM);
	xnu_euid(0);
	fails(connect_unit(fd, 1), EBUSY);
	fails(connect_unit(held, 7), EISCONN);
	fails(connect_unit(1999, 0), EBADF);
	ck_assert_str_eq(name_of(utun()), "utun1");
}
END_TEST

START_TEST(units_are_names)
{
	const int first = utun(), seventh = control();

	works(connect_unit(seventh, 8));
	ck_assert_str_eq(name_of(first), "utun0");
	ck_assert_str_eq(name_of(seventh), "utun7");
	xnu_add_interface("utun1", XNU_IFF_UP | XNU_IFF_POINTOPOINT, 1380);
	ck_assert_str_eq(name_of(utun()), "utun2");
	ck_assert_uint_ne(xnu_if_nametoindex("utun7"), 0);
	ck_assert_uint_eq(xnu_if_nametoindex("utun07"),
			  xnu_if_nametoindex("utun7"));
	ck_assert_uint_eq(xnu_if_nametoindex("utun3"), 0);
	ck_assert_int_eq(xnu_errno, XNU_ENXIO);
	ck_assert_uint_eq(xnu_if_nametoindex("utun"), 0);
}
END_TEST

START_TEST(it_comes_up_by_itself)
{
	utun();
	ck_assert_ptr_nonnull(strstr(xnu_state(),
		"interface utun0 flags 0x8051 mtu 1500\n"));
}
END_TEST

START_TEST(its_options)
{
	const int level = XNU_SYSPROTO_CONTROL;
	const int pending = XNU_UTUN_OPT_MAX_PENDING_PACKETS;
	const int fd = control();
	uint32_t value = 0, len = sizeof(value);
	char name[XNU_IFNAMSIZ];

	fails(xnu_getsockopt(fd, level, XNU_UTUN_OPT_IFNAME, name, &len),
	      EINVAL);
	fails(xnu_setsockopt(fd, level, pending, &value, len), EINVAL);
	works(connect_unit(fd, 0));
	len = 5;
	fails(xnu_getsockopt(fd, level, XNU_UTUN_OPT_IFNAME, name, &len),
	      EMSGSIZE);
	len = 6;
	works(xnu_getsockopt(fd, level, XNU_UTUN_OPT_IFNAME, name, &len));
	fails(xnu_getsockopt(fd, 6, XNU_UTUN_OPT_IFNAME, name, &len), EINVAL);
	fails(xnu_getsockopt(fd, level, 99, name, &len), ENOPROTOOPT);
	len = sizeof(value);
	works(xnu_getsockopt(fd, level, pending, &value, &len));
	ck_assert_uint_eq(value, 1);
	fails(xnu_setsockopt(fd, level, pending, &value, 2), EMSGSIZE);
	fails(xnu_setsockopt(fd, level, pending, NULL, 4), EFAULT);
	fails(xnu_setsockopt(fd, 6, pending, &value, 4), EINVAL);
	fails(xnu_setsockopt(fd, level, XNU_UTUN_OPT_IFNAME, "x", 1),
	      ENOPROTOOPT);
	value = 0;
	fails(xnu_setsockopt(fd, level, pending, &value, 4), EINVAL);
	value = 128;
	xnu_euid(501);
	works(xnu_setsockopt(fd, level, pending, &value, 4));
	value = 0;
	works(xnu_getsockopt(fd, level, pending, &value, &len));
	ck_assert_uint_eq(value, 128);
}
END_TEST

/* The unit is longer busy than the interface is seen. */
START_TEST(the_detach_takes_time)
{
	const int fd = utun(), again = control();

	works(xnu_close(fd));
	ck_assert_uint_eq(xnu_if_nametoindex("utun0"), 0);
	fails(connect_unit(control(), 1), EBUSY);
	ck_assert_str_eq(name_of(utun()), "utun1");
	xnu_settle();
	works(connect_unit(again, 1));
	xnu_detach_takes(6);
	works(xnu_close(again));
	/* Each try is four calls: to find the control, and to connect. */
	fails(connect_unit(control(), 1), EBUSY);
	works(connect_unit(control(), 1));
}
END_TEST

START_TEST(the_last_fd_ends_it)
{
	const int fd = utun(), other = xnu_dup(fd);

	ck_assert_int_ne(other, fd);
	works(xnu_close(fd));
	ck_assert_uint_ne(xnu_if_nametoindex("utun0"), 0);
	works(xnu_close(other));
	ck_assert_uint_eq(xnu_if_nametoindex("utun0"), 0);
	fails(xnu_close(other), EBADF);
	ck_assert_str_eq(xnu_leaks(), "");
}
END_TEST

/* By name and index the next one cannot be told from it. */
START_TEST(a_unit_keeps_its_index)
{
	const int first = utun();
	const unsigned index = xnu_if_nametoindex("utun0");

	ck_assert_str_eq(name_of(utun()), "utun1");
	works(xnu_close(first));
	xnu_settle();
	ck_assert_str_eq(name_of(utun()), "utun0");
	ck_assert_uint_eq(xnu_if_nametoindex("utun0"), index);
	ck_assert_str_eq(name_of(utun()), "utun2");
	ck_assert_uint_eq(xnu_if_nametoindex("utun2"), index + 2);
}
END_TEST

/* --- fds --- */

/* Is there another copy, says fd? */
static bool is_shared(int fd)
{
	uint8_t info[XNU_SOCKET_FDINFO_SIZE];

	ck_assert_int_eq(xnu_proc_pidfdinfo(0, fd, XNU_PROC_PIDFDSOCKETINFO,
					    info, sizeof(info)),
			 sizeof(info));
	return get4(info + XNU_FI_STATUS) & XNU_PROC_FP_SHARED;
}

static void asks_for_a_vnode(void)
{
	uint8_t info[XNU_SOCKET_FDINFO_SIZE];

	xnu_proc_pidfdinfo(0, utun(), 1, info, sizeof(info));
}

START_TEST(a_copy_is_seen)
{
	uint8_t info[XNU_SOCKET_FDINFO_SIZE];
	const int fd = utun(), other = xnu_dup(fd);

	ck_assert(is_shared(fd));
	works(xnu_close(other));
	ck_assert(!is_shared(fd));
	ck_assert_int_eq(xnu_proc_pidfdinfo(0, fd, XNU_PROC_PIDFDSOCKETINFO,
					    info, sizeof(info) - 1), 0);
	ck_assert_str_eq(xnu_error_name(xnu_errno), "ENOMEM");
	ck_assert_int_eq(xnu_proc_pidfdinfo(0, other, XNU_PROC_PIDFDSOCKETINFO,
					    info, sizeof(info)), 0);
	ck_assert_str_eq(xnu_error_name(xnu_errno), "EBADF");
	ck_assert(dies(asks_for_a_vnode));
}
END_TEST

START_TEST(sockets_that_are_not)
{
	fails(xnu_socket(99, XNU_SOCK_DGRAM, 0), EAFNOSUPPORT);
	fails(xnu_socket(XNU_AF_SYSTEM, XNU_SOCK_DGRAM, 9), EPROTONOSUPPORT);
	fails(xnu_socket(XNU_AF_SYSTEM, XNU_SOCK_RAW, XNU_SYSPROTO_CONTROL),
	      EPROTOTYPE);
	/* Linux' SOCK_CLOEXEC is no flag here. */
	fails(xnu_socket(XNU_AF_UNIX, XNU_SOCK_STREAM | 02000000, 0),
	      EPROTONOSUPPORT);
	fails(xnu_socket(XNU_AF_UNIX, 5, 0), EPROTONOSUPPORT);
	fails(xnu_socket(XNU_AF_UNIX, XNU_SOCK_STREAM, 6), EPROTONOSUPPORT);
	fails(xnu_socket(XNU_AF_ROUTE, XNU_SOCK_DGRAM, 0), EPROTONOSUPPORT);
	for (int i = 0; i < 256; i++)
		ck_assert_int_ge(control(), XNU_FIRST_FD);
	fails(xnu_socket(INET, XNU_SOCK_DGRAM, 0), EMFILE);
}
END_TEST

START_TEST(close_on_exec_is_the_fds)
{
	const int fd = control();
	int other;

	ck_assert(!xnu_closes_on_exec(fd));
	ck_assert_int_eq(xnu_fcntl(fd, XNU_F_GETFD, 0), 0);
	works(xnu_fcntl(fd, XNU_F_SETFD, XNU_FD_CLOEXEC));
	ck_assert(xnu_closes_on_exec(fd));
	other = xnu_dup(fd);
	ck_assert(!xnu_closes_on_exec(other));
	works(xnu_ioctl(other, XNU_FIOCLEX, NULL));
	ck_assert(xnu_closes_on_exec(other));
	works(xnu_ioctl(other, XNU_FIONCLEX, NULL));
	ck_assert(!xnu_closes_on_exec(other));
	ck_assert(xnu_closes_on_exec(xnu_fcntl(fd, XNU_F_DUPFD_CLOEXEC, 0)));
	ck_assert_int_eq(xnu_dup2(fd, other), other);
	ck_assert(!xnu_closes_on_exec(other));
	fails(xnu_fcntl(1999, XNU_F_GETFD, 0), EBADF);
	fails(xnu_dup(1999), EBADF);
	fails(xnu_dup2(1999, fd), EBADF);
	fails(xnu_fcntl(fd, XNU_F_DUPFD, -1), EINVAL);
}
END_TEST

START_TEST(not_blocking_is_what_the_fd_refers_to)
{
	const int fd = utun(), other = xnu_dup(fd);
	int on = 1;

	works(xnu_fcntl(fd, XNU_F_SETFL, XNU_O_NONBLOCK));
	ck_assert_int_eq(xnu_fcntl(other, XNU_F_GETFL, 0),
			 XNU_O_RDWR | XNU_O_NONBLOCK);
	works(xnu_fcntl(other, XNU_F_SETFL, 0));
	works(xnu_ioctl(fd, XNU_FIONBIO, &on));
	fails(xnu_read(other, &on, sizeof(on)), EAGAIN);
}
END_TEST

/* --- interfaces --- */

static int link_request(int fd, uint32_t request, const char *name, int *value)
{
	uint8_t ifr[32] = { 0 };
	int r;

	strcpy((char *)ifr, name);
	put4(ifr + XNU_IFR_VALUE, (uint32_t)*value);
	r = xnu_ioctl(fd, request, ifr);
	*value = (int)get4(ifr + XNU_IFR_VALUE);
	return r;
}

START_TEST(mtu)
{
	const int fd = xnu_socket(INET, XNU_SOCK_DGRAM, 0);
	int value = 0;

	utun();
	works(link_request(fd, XNU_SIOCGIFMTU, "utun0", &value));
	ck_assert_int_eq(value, 1500);
	for (int bad = 0; bad < 4; bad++) {
		value = (int[]){ 71, 65536, 0, -1 }[bad];
		fails(link_request(fd, XNU_SIOCSIFMTU, "utun0", &value),
		      EINVAL);
	}
	value = 72;
	works(link_request(fd, XNU_SIOCSIFMTU, "utun0", &value));
	value = 65535;
	works(link_request(fd, XNU_SIOCSIFMTU, "utun0", &value));
	fails(link_request(fd, XNU_SIOCSIFMTU, "utun9", &value), ENXIO);
	xnu_euid(501);
	fails(link_request(fd, XNU_SIOCSIFMTU, "utun9", &value), ENXIO);
	fails(link_request(fd, XNU_SIOCSIFMTU, "utun0", &value), EPERM);
	works(link_request(fd, XNU_SIOCGIFMTU, "utun0", &value));
	ck_assert_int_eq(value, 65535);
}
END_TEST

START_TEST(flags_that_stay)
{
	const int fd = xnu_socket(INET, XNU_SOCK_DGRAM, 0);
	int value = 0;

	utun();
	works(link_request(fd, XNU_SIOCGIFFLAGS, "utun0", &value));
	ck_assert_int_eq(value, 0x8051);
	value = 0;	/* what cannot be changed stays */
	works(link_request(fd, XNU_SIOCSIFFLAGS, "utun0", &value));
	works(link_request(fd, XNU_SIOCGIFFLAGS, "utun0", &value));
	ck_assert_int_eq(value, 0x8050);
	xnu_euid(501);
	value = XNU_IFF_UP;
	fails(link_request(fd, XNU_SIOCSIFFLAGS, "utun0", &value), EPERM);
	fails(link_request(fd, XNU_SIOCGIFFLAGS, "utun1", &value), ENXIO);
}
END_TEST

/* --- IPv4's addresses --- */

static void put_in(uint8_t *at, const char *ip)
{
	if (!ip)
		return;
	at[0] = XNU_SIN_SIZE;
	at[1] = INET;
	ck_assert_int_eq(inet_pton(AF_INET, ip, at + XNU_SIN_ADDR), 1);
}

static void alias4(uint8_t *request, const char *name, const char *ip,
		   const char *dst, const char *mask)
{
	memset(request, 0, 64);
	strcpy((char *)request, name);
	put_in(request + XNU_IFRA_ADDR, ip);
	put_in(request + XNU_IFRA_DST, dst);
	put_in(request + XNU_IFRA_MASK, mask);
}

static int add4(int fd, const char *ip, const char *dst, const char *mask)
{
	uint8_t request[64];

	alias4(request, "utun0", ip, dst, mask);
	return xnu_ioctl(fd, XNU_SIOCAIFADDR, request);
}

static int del4(int fd, const char *name, const char *ip)
{
	uint8_t ifr[32] = { 0 };

	strcpy((char *)ifr, name);
	put_in(ifr + XNU_IFR_VALUE, ip);
	return xnu_ioctl(fd, XNU_SIOCDIFADDR, ifr);
}

static bool has(const char *line)
{
	return strstr(xnu_state(), line) != NULL;
}

START_TEST(an_address_has_a_host_route_only)
{
	const int fd = xnu_socket(INET, XNU_SOCK_DGRAM, 0);
	uint8_t ifr[32] = "utun0";
	const uint8_t mask[4] = { 255, 255, 255, 0 };

	utun();
	works(add4(fd, "10.9.0.2", "10.9.0.2", "255.255.255.0"));
	ck_assert(has("address 10.9.0.2/24 -> 10.9.0.2 dev utun0\n"));
	ck_assert(has("route 10.9.0.2 dev utun0\n"));
	ck_assert(!has("route 10.9.0.0/24"));
	works(xnu_ioctl(fd, XNU_SIOCGIFNETMASK, ifr));
	ck_assert_mem_eq(ifr + XNU_IFR_VALUE + XNU_SIN_ADDR, mask, 4);
	works(del4(fd, "utun0", "10.9.0.2"));
	ck_assert(!has("10.9.0.2"));
	fails(xnu_ioctl(fd, XNU_SIOCGIFADDR, ifr), EADDRNOTAVAIL);
}
END_TEST

START_TEST(addresses_that_are_refused)
{
	static const char *const mask = "255.255.255.0";
	const int fd = xnu_socket(INET, XNU_SOCK_DGRAM, 0);
	uint8_t request[64];

	utun();
	fails(add4(fd, "10.9.0.2", NULL, mask), EDESTADDRREQ);
	fails(add4(fd, "10.9.0.2", "0.0.0.0", mask), EDESTADDRREQ);
	fails(add4(fd, "0.0.0.0", "10.9.0.2", mask), EINVAL);
	fails(add4(fd, "255.255.255.255", "10.9.0.2", mask), EINVAL);
	fails(add4(fd, "224.0.0.1", "10.9.0.2", mask), EINVAL);
	alias4(request, "utun0", "10.9.0.2", "10.9.0.2", mask);
	request[XNU_IFRA_ADDR + 1] = INET6;
	fails(xnu_ioctl(fd, XNU_SIOCAIFADDR, request), EINVAL);
	alias4(request, "utun1", "10.9.0.2", "10.9.0.2", mask);
	fails(xnu_ioctl(fd, XNU_SIOCAIFADDR, request), ENXIO);
	fails(del4(fd, "utun0", "10.9.0.2"), EADDRNOTAVAIL);
	fails(del4(fd, "utun1", "10.9.0.2"), ENXIO);
	xnu_euid(501);
	fails(add4(fd, "10.9.0.2", "10.9.0.2", mask), EPERM);
	fails(del4(fd, "utun0", "10.9.0.2"), EPERM);
	ck_assert(!has("dev utun0"));
}
END_TEST

/* A request goes to the socket's family, not to the one that it is of. */
START_TEST(requests_of_other_sockets)
{
	const int fd = utun();
	const int six = xnu_socket(INET6, XNU_SOCK_DGRAM, 0);
	const int routes = xnu_socket(XNU_AF_ROUTE, XNU_SOCK_RAW, 0);
	uint8_t request[128] = "utun0";
	int value = 1400;

	fails(add4(six, "10.9.0.2", "10.9.0.2", NULL), EINVAL);
	fails(add4(fd, "10.9.0.2", "10.9.0.2", NULL), ENOTSUP);
	fails(add4(routes, "10.9.0.2", "10.9.0.2", NULL), EOPNOTSUPP);
	fails(xnu_ioctl(xnu_socket(INET, XNU_SOCK_DGRAM, 0),
			XNU_SIOCAIFADDR_IN6, request), EOPNOTSUPP);
	works(link_request(fd, XNU_SIOCSIFMTU, "utun0", &value));
}
END_TEST

START_TEST(masks_and_ends_that_are_left_out)
{
	const int fd = xnu_socket(INET, XNU_SOCK_DGRAM, 0);
	uint8_t request[64];

	utun();
	works(add4(fd, "10.9.0.2", "10.9.0.1", NULL));
	works(add4(fd, "172.16.0.2", "172.16.0.1", NULL));
	works(add4(fd, "192.0.2.2", "192.0.2.1", NULL));
	ck_assert(has("address 10.9.0.2/8 ") && has("address 172.16.0.2/16 ") &&
		  has("address 192.0.2.2/24 "));
	/* Another end's family: no route, and no error. */
	alias4(request, "utun0", "10.8.0.2", "10.8.0.1", NULL);
	request[XNU_IFRA_DST + 1] = 0;
	works(xnu_ioctl(fd, XNU_SIOCAIFADDR, request));
	ck_assert(has("address 10.8.0.2/8 dev utun0\n"));
	ck_assert(!has("route 10.8.0"));
}
END_TEST

/* The second of the same other end has no route, and is not told. */
START_TEST(two_of_the_same_end)
{
	const int fd = xnu_socket(INET, XNU_SOCK_DGRAM, 0);
	uint8_t request[64];

	utun();
	utun();
	works(add4(fd, "10.9.0.2", "10.9.0.1", NULL));
	alias4(request, "utun1", "10.9.0.3", "10.9.0.1", NULL);
	works(xnu_ioctl(fd, XNU_SIOCAIFADDR, request));
	works(del4(fd, "utun1", "10.9.0.3"));
	ck_assert(has("route 10.9.0.1 dev utun0\n"));
	works(del4(fd, "utun0", "10.9.0.2"));
	ck_assert(!has("route 10.9.0.1"));
}
END_TEST

/* --- IPv6's addresses --- */

static void put_in6(uint8_t *at, const char *ip)
{
	at[0] = XNU_SIN6_SIZE;
	at[1] = INET6;
	ck_assert_int_eq(inet_pton(AF_INET6, ip, at + XNU_SIN6_ADDR), 1);
}

static void alias6(uint8_t *request, const char *name, const char *ip,
		   const char *mask)
{
	memset(request, 0, 128);
	strcpy((char *)request, name);
	put_in6(request + XNU_IFRA6_ADDR, ip);
	put_in6(request + XNU_IFRA6_MASK, mask);
	put4(request + XNU_IFRA6_VLTIME, FOREVER);
	put4(request + XNU_IFRA6_PLTIME, FOREVER);
}

static int add6(int fd, const char *ip, const char *mask)
{
	uint8_t request[128];

	alias6(request, "utun0", ip, mask);
	return xnu_ioctl(fd, XNU_SIOCAIFADDR_IN6, request);
}

static int del6(int fd, const char *ip)
{
	uint8_t ifr[288] = "utun0";

	put_in6(ifr + XNU_IFR_VALUE, ip);
	return xnu_ioctl(fd, XNU_SIOCDIFADDR_IN6, ifr);
}

START_TEST(a_prefix_has_its_route)
{
	const int fd = xnu_socket(INET6, XNU_SOCK_DGRAM, 0);

	utun();
	works(add6(fd, "fd00:9::2", "ffff:ffff:ffff:ffff::"));
	ck_assert(has("address fd00:9::2/64 dev utun0\n"));
	ck_assert(has("route fd00:9::/64 dev utun0\n"));
	ck_assert(has("route fd00:9::2 dev lo0\n"));
	works(add6(fd, "fd00:9::3", "ffff:ffff:ffff:ffff::"));
	works(del6(fd, "fd00:9::2"));
	xnu_settle();
	ck_assert(has("route fd00:9::/64 dev utun0\n"));
	works(del6(fd, "fd00:9::3"));
	ck_assert(!has("fd00:9::3"));
	ck_assert(has("route fd00:9::/64 dev utun0\n"));
	xnu_settle();
	ck_assert(!has("fd00:9::"));
}
END_TEST

START_TEST(the_same_prefix_elsewhere)
{
	const int fd = xnu_socket(INET6, XNU_SOCK_DGRAM, 0);
	uint8_t request[128];

	utun();
	utun();
	works(add6(fd, "fd00:9::2", "ffff:ffff:ffff:ffff::"));
	alias6(request, "utun1", "fd00:9::3", "ffff:ffff:ffff:ffff::");
	works(xnu_ioctl(fd, XNU_SIOCAIFADDR_IN6, request));
	ck_assert(has("route fd00:9::/64 dev utun1 scope utun1\n"));
	/* One that was about to go stays, if it is wanted again. */
	works(del6(fd, "fd00:9::2"));
	works(add6(fd, "fd00:9::2", "ffff:ffff:ffff:ffff::"));
	xnu_settle();
	ck_assert(has("route fd00:9::/64 dev utun0\n"));
	/* When it has gone, the other's is as it was. */
	works(del6(fd, "fd00:9::2"));
	xnu_settle();
	ck_assert(!has("route fd00:9::/64 dev utun0\n"));
	ck_assert(has("route fd00:9::/64 dev utun1 scope utun1\n"));
}
END_TEST

START_TEST(the_same_address_elsewhere)
{
	const int fd = xnu_socket(INET6, XNU_SOCK_DGRAM, 0);
	uint8_t request[128];

	utun();
	utun();
	works(add6(fd, "fd00:9::2", "ffff:ffff:ffff:ffff::"));
	alias6(request, "utun1", "fd00:9::2", "ffff:ffff:ffff:ffff::");
	works(xnu_ioctl(fd, XNU_SIOCAIFADDR_IN6, request));
	works(del6(fd, "fd00:9::2"));
	ck_assert(has("route fd00:9::2 dev lo0\n"));
}
END_TEST

START_TEST(addresses6_that_are_refused)
{
	static const char *const mask = "ffff:ffff:ffff:ffff::";
	const int fd = xnu_socket(INET6, XNU_SOCK_DGRAM, 0);
	uint8_t request[128];

	utun();
	fails(add6(fd, "::", mask), EINVAL);
	fails(add6(fd, "ff02::1", mask), EINVAL);
	fails(add6(fd, "::ffff:10.0.0.1", mask), EINVAL);
	fails(add6(fd, "::10.0.0.1", mask), EINVAL);
	fails(add6(fd, "fd00:9::2", "::"), EINVAL);
	for (unsigned bad = 0; bad < 2; bad++) {
		alias6(request, "utun0", "fd00:9::2", mask);
		request[XNU_IFRA6_ADDR + bad]--;
		fails(xnu_ioctl(fd, XNU_SIOCAIFADDR_IN6, request),
		      EAFNOSUPPORT);
		alias6(request, "utun0", "fd00:9::2", mask);
		request[XNU_IFRA6_MASK] = bad ? 29 : 0;
		fails(xnu_ioctl(fd, XNU_SIOCAIFADDR_IN6, request), EINVAL);
	}
	/* A mask that ends before it begins, and one that is cut. */
	alias6(request, "utun0", "fd00:9::2", mask);
	request[XNU_IFRA6_MASK] = XNU_SIN6_ADDR;
	fails(xnu_ioctl(fd, XNU_SIOCAIFADDR_IN6, request), EINVAL);
	request[XNU_IFRA6_MASK] = XNU_SIN6_ADDR + 6;
	put4(request + XNU_IFRA6_PLTIME, 20);
	put4(request + XNU_IFRA6_VLTIME, 10);
	fails(xnu_ioctl(fd, XNU_SIOCAIFADDR_IN6, request), EINVAL);
	put4(request + XNU_IFRA6_PLTIME, 10);
	works(xnu_ioctl(fd, XNU_SIOCAIFADDR_IN6, request));
	ck_assert(has("address fd00:9::2/48 dev utun0\n"));
	fails(del6(fd, "fd00:9::3"), EADDRNOTAVAIL);
	xnu_euid(501);
	fails(add6(fd, "fd00:9::4", mask), EPERM);
	fails(del6(fd, "fd00:9::2"), EPERM);
	alias6(request, "utun1", "fd00:9::2", mask);
	fails(xnu_ioctl(fd, XNU_SIOCAIFADDR_IN6, request), ENXIO);
}
END_TEST

START_TEST(the_other_end_wants_128)
{
	const int fd = xnu_socket(INET6, XNU_SOCK_DGRAM, 0);
	uint8_t request[128];

	utun();
	alias6(request, "utun0", "fd00:9::2", "ffff:ffff:ffff:ffff::");
	put_in6(request + XNU_IFRA6_DST, "fd00:9::1");
	fails(xnu_ioctl(fd, XNU_SIOCAIFADDR_IN6, request), EINVAL);
	request[XNU_IFRA6_DST + 1] = INET;
	fails(xnu_ioctl(fd, XNU_SIOCAIFADDR_IN6, request), EAFNOSUPPORT);
	alias6(request, "utun0", "fd00:9::2",
	       "ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff");
	put_in6(request + XNU_IFRA6_DST, "fd00:9::1");
	works(xnu_ioctl(fd, XNU_SIOCAIFADDR_IN6, request));
	ck_assert(has("route fd00:9::1 dev utun0\n"));
	ck_assert(!has("/64 dev utun0"));
	works(del6(fd, "fd00:9::2"));
	ck_assert(!has("fd00:9::"));
}
END_TEST

START_TEST(lifetimes_of_zero_expire)
{
	const int fd = xnu_socket(INET6, XNU_SOCK_DGRAM, 0);
	uint8_t request[128];

	utun();
	alias6(request, "utun0", "fd00:9::2", "ffff:ffff:ffff:ffff::");
	put4(request + XNU_IFRA6_VLTIME, 0);
	put4(request + XNU_IFRA6_PLTIME, 0);
	works(xnu_ioctl(fd, XNU_SIOCAIFADDR_IN6, request));
	ck_assert(has("fd00:9::2"));
	xnu_settle();
	ck_assert(!has("fd00:9::"));
	works(add6(fd, "fd00:9::2", "ffff:ffff:ffff:ffff::"));
	xnu_settle();
	ck_assert(has("fd00:9::2"));
}
END_TEST

/* --- routes --- */

struct message {
	uint8_t bytes[ROOM];
	size_t len;
};

static void begin_message(struct message *m, unsigned type, uint32_t flags)
{
	memset(m, 0, sizeof(*m));
	m->len = XNU_RTM_SIZE;
	m->bytes[XNU_RTM_VERSION_AT] = XNU_RTM_VERSION;
	m->bytes[XNU_RTM_TYPE] = (uint8_t)type;
	put4(m->bytes + XNU_RTM_FLAGS, flags);
	put2(m->bytes + XNU_RTM_MSGLEN, XNU_RTM_SIZE);
}

/* Room for a name, which counts from now on. */
static uint8_t *name_in(struct message *m, uint32_t what, size_t len)
{
	uint8_t *at = m->bytes + m->len;

	m->len += len;
	put4(m->bytes + XNU_RTM_ADDRS, get4(m->bytes + XNU_RTM_ADDRS) | what);
	put2(m->bytes + XNU_RTM_MSGLEN, (unsigned)m->len);
	return at;
}

static void ip_in(struct message *m, uint32_t what, const char *ip)
{
	if (strchr(ip, ':'))
		put_in6(name_in(m, what, XNU_SIN6_SIZE), ip);
	else
		put_in(name_in(m, what, XNU_SIN_SIZE), ip);
}

static void link_in(struct message *m, uint32_t what, unsigned index)
{
	uint8_t *at = name_in(m, what, XNU_SDL_SIZE);

	at[0] = XNU_SDL_SIZE;
	at[1] = XNU_AF_LINK;
	put2(at + XNU_SDL_INDEX, index);
}

static int routes(void)
{
	const int fd = xnu_socket(XNU_AF_ROUTE, XNU_SOCK_RAW, 0);
	int no = 0;

	ck_assert_int_ge(fd, XNU_FIRST_FD);
	works(xnu_setsockopt(fd, XNU_SOL_SOCKET, XNU_SO_USELOOPBACK, &no,
			     sizeof(no)));
	return fd;
}

static int say(int fd, const struct message *m)
{
	const long r = xnu_write(fd, m->bytes, m->len);

	return r == (long)m->len ? 0 : (int)r;
}

/* To a net by an interface, or with RTF_HOST and no mask to a host. */
static int by_link(int fd, unsigned type, const char *dst, const char *mask,
		   unsigned index, uint32_t flags)
{
	struct message m;

	begin_message(&m, type, XNU_RTF_UP | XNU_RTF_STATIC | flags);
	if (flags & XNU_RTF_IFSCOPE)
		put2(m.bytes + XNU_RTM_INDEX, index);
	ip_in(&m, XNU_RTA_DST, dst);
	link_in(&m, XNU_RTA_GATEWAY, index);
	if (mask)
		ip_in(&m, XNU_RTA_NETMASK, mask);
	return say(fd, &m);
}

static int by_gateway(int fd, const char *dst, const char *mask,
		      const char *gateway)
{
	struct message m;

	begin_message(&m, XNU_RTM_ADD, XNU_RTF_UP | XNU_RTF_STATIC |
				       XNU_RTF_GATEWAY);
	ip_in(&m, XNU_RTA_DST, dst);
	ip_in(&m, XNU_RTA_GATEWAY, gateway);
	ip_in(&m, XNU_RTA_NETMASK, mask);
	return say(fd, &m);
}

/* utun0 with 10.9.0.2 and fd00:9::2; its index. */
static unsigned ready_utun(void)
{
	utun();
	works(add4(xnu_socket(INET, XNU_SOCK_DGRAM, 0), "10.9.0.2", "10.9.0.2",
		   "255.255.255.0"));
	works(add6(xnu_socket(INET6, XNU_SOCK_DGRAM, 0), "fd00:9::2",
		   "ffff:ffff:ffff:ffff::"));
	return xnu_if_nametoindex("utun0");
}

START_TEST(by_an_interface)
{
	const unsigned index = ready_utun();
	const int fd = routes();

	works(by_link(fd, XNU_RTM_ADD, "10.20.0.9", "255.255.0.0", index, 0));
	ck_assert(has("route 10.20.0.0/16 dev utun0 static\n"));
	works(by_link(fd, XNU_RTM_ADD, "fd20::", "ffff::", index, 0));
	ck_assert(has("route fd20::/16 dev utun0 static\n"));
	works(by_link(fd, XNU_RTM_ADD, "10.21.0.1", NULL, index, XNU_RTF_HOST));
	ck_assert(has("route 10.21.0.1 dev utun0 static\n"));
	fails(by_link(fd, XNU_RTM_ADD, "10.20.0.0", "255.255.0.0", index, 0),
	      EEXIST);
	works(by_link(fd, XNU_RTM_ADD, "10.20.0.0", "255.255.0.0", index,
		      XNU_RTF_IFSCOPE));
	ck_assert(has("route 10.20.0.0/16 dev utun0 scope utun0 static\n"));
	fails(by_link(fd, XNU_RTM_ADD, "10.22.0.0", "255.255.0.0", 2,
		      XNU_RTF_IFSCOPE | XNU_RTF_PROXY), EINVAL);
	/* RTF_HOST makes it a host's, whatever the mask is. */
	works(by_link(fd, XNU_RTM_ADD, "10.23.0.1", "255.255.0.0", index,
		      XNU_RTF_HOST));
	ck_assert(has("route 10.23.0.1 dev utun0 static\n"));
}
END_TEST

START_TEST(the_scope_is_the_gateways_interface)
{
	const unsigned index = ready_utun();
	const int fd = routes();
	struct message m;

	begin_message(&m, XNU_RTM_ADD, XNU_RTF_UP | XNU_RTF_IFSCOPE);
	put2(m.bytes + XNU_RTM_INDEX, xnu_if_nametoindex("en0"));
	ip_in(&m, XNU_RTA_DST, "10.20.0.0");
	link_in(&m, XNU_RTA_GATEWAY, index);
	ip_in(&m, XNU_RTA_NETMASK, "255.255.0.0");
	fails(say(fd, &m), ENETUNREACH);
	put2(m.bytes + XNU_RTM_INDEX, index);
	works(say(fd, &m));
}
END_TEST

START_TEST(a_route_wants_an_address_of_its_family)
{
	const int inet = xnu_socket(INET, XNU_SOCK_DGRAM, 0);
	const int fd = routes();
	unsigned index;

	utun();
	index = xnu_if_nametoindex("utun0");
	fails(by_link(fd, XNU_RTM_ADD, "10.20.0.0", "255.255.0.0", index, 0),
	      ENETUNREACH);
	works(add4(inet, "10.9.0.2", "10.9.0.2", NULL));
	works(by_link(fd, XNU_RTM_ADD, "10.20.0.0", "255.255.0.0", index, 0));
	fails(by_link(fd, XNU_RTM_ADD, "fd20::", "ffff::", index, 0),
	      ENETUNREACH);
}
END_TEST

/* Its key as it is in the table, with its mask and its scope. */
START_TEST(removing_is_exact)
{
	const unsigned index = ready_utun();
	const int fd = routes();

	works(by_link(fd, XNU_RTM_ADD, "10.20.0.9", "255.255.0.0", index, 0));
	works(by_link(fd, XNU_RTM_ADD, "10.20.0.0", "255.255.0.0", index,
		      XNU_RTF_IFSCOPE));
	fails(by_link(fd, XNU_RTM_DELETE, "10.20.0.9", "255.255.0.0", index,
		      0), ESRCH);
	fails(by_link(fd, XNU_RTM_DELETE, "10.20.0.0", "255.254.0.0", index,
		      0), ESRCH);
	works(by_link(fd, XNU_RTM_DELETE, "10.20.0.0", "255.255.0.0", index,
		      0));
	fails(by_link(fd, XNU_RTM_DELETE, "10.20.0.0", "255.255.0.0", index,
		      0), ESRCH);
	ck_assert(has("route 10.20.0.0/16 dev utun0 scope utun0 static\n"));
	works(by_link(fd, XNU_RTM_DELETE, "10.20.0.0", "255.255.0.0", index,
		      XNU_RTF_IFSCOPE));
	ck_assert(!has("10.20.0.0"));
	/* A host's is removed as a host's, not as /32. */
	works(by_link(fd, XNU_RTM_ADD, "10.21.0.1", NULL, index, XNU_RTF_HOST));
	fails(by_link(fd, XNU_RTM_DELETE, "10.21.0.1", "255.255.255.255",
		      index, 0), ESRCH);
	works(by_link(fd, XNU_RTM_DELETE, "10.21.0.1", NULL, index,
		      XNU_RTF_HOST));
}
END_TEST

START_TEST(by_a_gateway)
{
	const unsigned index = ready_utun();
	const int fd = routes();

	works(by_gateway(fd, "10.30.0.0", "255.255.0.0", "192.168.1.77"));
	ck_assert(has("route 10.30.0.0/16 via 192.168.1.77 dev en0 static\n"));
	works(by_gateway(fd, "fd30::", "ffff::", "fd00:9::77"));
	ck_assert(has("route fd30::/16 via fd00:9::77 dev utun0 static\n"));
	fails(by_gateway(fd, "10.31.0.1", "255.255.0.0", "10.31.0.1"),
	      EADDRNOTAVAIL);
	/* One that no net has: by the default route's interface. */
	works(by_gateway(fd, "10.32.0.0", "255.255.0.0", "198.51.100.1"));
	ck_assert(has("route 10.32.0.0/16 via 198.51.100.1 dev en0 static\n"));
	/* A route to the gateway comes before the net that it is in. */
	works(by_link(fd, XNU_RTM_ADD, "192.168.1.78", NULL, index,
		      XNU_RTF_HOST));
	works(by_gateway(fd, "10.33.0.0", "255.255.0.0", "192.168.1.78"));
	ck_assert(has("via 192.168.1.78 dev utun0 static\n"));
}
END_TEST

START_TEST(halves_leave_the_default_alone)
{
	const unsigned index = ready_utun();
	const int fd = routes();
	struct message m;

	works(by_link(fd, XNU_RTM_ADD, "0.0.0.0", "128.0.0.0", index, 0));
	works(by_link(fd, XNU_RTM_ADD, "128.0.0.0", "128.0.0.0", index, 0));
	works(by_link(fd, XNU_RTM_ADD, "::", "8000::", index, 0));
	fails(by_link(fd, XNU_RTM_ADD, "0.0.0.0", "0.0.0.0", index, 0),
	      EEXIST);
	ck_assert(has("route 0.0.0.0/0 via 192.168.1.1 dev en0 static\n"));
	/* A mask of no bytes is the empty one, too: the default is lost. */
	begin_message(&m, XNU_RTM_DELETE, 0);
	ip_in(&m, XNU_RTA_DST, "0.0.0.0");
	name_in(&m, XNU_RTA_NETMASK, 4);
	works(say(fd, &m));
	ck_assert_ptr_nonnull(strstr(xnu_leaks(), "lost: route 0.0.0.0/0 "));
}
END_TEST

START_TEST(messages_that_are_refused)
{
	const unsigned index = ready_utun();
	const int fd = routes();
	struct message good, m;

	begin_message(&good, XNU_RTM_ADD, XNU_RTF_UP);
	ip_in(&good, XNU_RTA_DST, "10.20.0.0");
	link_in(&good, XNU_RTA_GATEWAY, index);
	ip_in(&good, XNU_RTA_NETMASK, "255.255.0.0");
	m = good;
	m.bytes[XNU_RTM_VERSION_AT] = 4;
	fails(say(fd, &m), EPROTONOSUPPORT);
	m = good;
	put2(m.bytes, (unsigned)m.len - 1);
	fails(say(fd, &m), EINVAL);
	fails(xnu_write(fd, good.bytes, XNU_RTM_SIZE - 1), EINVAL);
	m = good;
	m.bytes[XNU_RTM_TYPE] = 12;
	fails(say(fd, &m), EOPNOTSUPP);
	m = good;
	put4(m.bytes + XNU_RTM_ADDRS, 0);
	fails(say(fd, &m), EINVAL);
	m = good;	/* the link is the mask, then: no gateway */
	put4(m.bytes + XNU_RTM_ADDRS, XNU_RTA_DST);
	fails(say(fd, &m), EINVAL);
	m = good;
	m.bytes[XNU_RTM_SIZE] = 200;
	fails(say(fd, &m), EINVAL);
	m = good;
	m.bytes[XNU_RTM_SIZE + 1] = XNU_AF_MAX;
	fails(say(fd, &m), EINVAL);
	m = good;
	m.bytes[XNU_RTM_SIZE] = 1;
	fails(say(fd, &m), EINVAL);
	works(say(fd, &good));
}
END_TEST

/* Who made the socket counts, not who writes. */
START_TEST(routing_rights_are_the_sockets)
{
	const unsigned index = ready_utun();
	const int fd = routes();
	int poor;

	xnu_euid(501);
	poor = routes();
	fails(by_link(poor, XNU_RTM_ADD, "10.20.0.0", "255.255.0.0", index, 0),
	      EPERM);
	works(by_link(fd, XNU_RTM_ADD, "10.20.0.0", "255.255.0.0", index, 0));
	xnu_euid(0);
	fails(by_link(poor, XNU_RTM_DELETE, "10.20.0.0", "255.255.0.0", index,
		      0), EPERM);
}
END_TEST

START_TEST(answers_come_back)
{
	const unsigned index = ready_utun();
	const int fd = xnu_socket(XNU_AF_ROUTE, XNU_SOCK_RAW, 0);
	const int quiet = routes();
	uint8_t answer[ROOM];
	struct message m;

	works(xnu_fcntl(quiet, XNU_F_SETFL, XNU_O_NONBLOCK));
	works(by_link(fd, XNU_RTM_ADD, "10.20.0.0", "255.255.0.0", index, 0));
	ck_assert_int_eq(xnu_read(fd, answer, sizeof(answer)),
			 XNU_RTM_SIZE + XNU_SIN_SIZE + XNU_SDL_SIZE +
				 XNU_SIN_SIZE);
	ck_assert_uint_eq(get4(answer + XNU_RTM_ERRNO), 0);
	ck_assert(get4(answer + XNU_RTM_FLAGS) & XNU_RTF_DONE);
	fails(by_link(fd, XNU_RTM_ADD, "10.20.0.0", "255.255.0.0", index, 0),
	      EEXIST);
	ck_assert_int_gt(xnu_read(fd, answer, sizeof(answer)), 0);
	ck_assert_uint_eq(get4(answer + XNU_RTM_ERRNO), XNU_EEXIST);
	/* The other one hears it, but not what it says itself. */
	ck_assert_int_gt(xnu_read(quiet, answer, sizeof(answer)), 0);
	ck_assert_int_gt(xnu_read(quiet, answer, sizeof(answer)), 0);
	works(by_link(quiet, XNU_RTM_DELETE, "10.20.0.0", "255.255.0.0", index,
		      0));
	fails(xnu_read(quiet, answer, sizeof(answer)), EAGAIN);

	xnu_euid(501);
	begin_message(&m, XNU_RTM_GET, 0);
	ip_in(&m, XNU_RTA_DST, "10.9.0.2");
	ck_assert_int_gt(xnu_read(fd, answer, sizeof(answer)), 0);
	works(say(fd, &m));
	ck_assert_int_gt(xnu_read(fd, answer, sizeof(answer)), 0);
	ck_assert_uint_eq(answer[XNU_RTM_INDEX], index);
}
END_TEST

/* The record at this place of what sysctl() gave; the next one's place. */
static size_t record(const uint8_t *list, size_t at, unsigned type)
{
	ck_assert_uint_eq(list[at + XNU_RTM_VERSION_AT], XNU_RTM_VERSION);
	ck_assert_uint_eq(list[at + XNU_RTM_TYPE], type);
	return at + list[at] + 256u * list[at + 1];
}

/* Where in a list the bytes are, or its end. */
static size_t place(const uint8_t *list, size_t len, const void *bytes,
		    size_t n)
{
	const uint8_t *at = memmem(list, len, bytes, n);

	return at ? (size_t)(at - list) : len;
}

START_TEST(routes_are_listed)
{
	const uint8_t mask[8] = { 6, 255, 255, 255, 255, 255 };
	const uint8_t dst[8] = { 16, INET, 0, 0, 10, 20 };
	const unsigned index = ready_utun();
	const int all[] = { XNU_CTL_NET, XNU_AF_ROUTE, 0, 0, XNU_NET_RT_DUMP,
			    0 };
	const int gateways[] = { XNU_CTL_NET, XNU_AF_ROUTE, 0, INET,
				 XNU_NET_RT_FLAGS, XNU_RTF_GATEWAY };
	static uint8_t list[4096];
	size_t len, place_of, n = 0;

	works(by_link(routes(), XNU_RTM_ADD, "10.20.0.0", "255.255.0.0", index,
		      0));
	works(xnu_sysctl(all, 6, NULL, &len, NULL, 0));
	ck_assert_uint_lt(len, sizeof(list));
	len--;
	fails(xnu_sysctl(all, 6, list, &len, NULL, 0), ENOMEM);
	len = sizeof(list);
	works(xnu_sysctl(all, 6, list, &len, NULL, 0));
	place_of = place(list, len, dst, sizeof(dst));
	ck_assert_uint_lt(place_of, len);
	/* Behind its destination and its link: a mask without a family. */
	ck_assert_mem_eq(list + place_of + 36, mask, sizeof(mask));
	for (size_t at = 0; at < len; n++)
		at = record(list, at, XNU_RTM_GET);
	ck_assert_uint_gt(n, 8);
	len = sizeof(list);
	works(xnu_sysctl(gateways, 6, list, &len, NULL, 0));
	ck_assert_uint_eq(record(list, 0, XNU_RTM_GET), len);
	fails(xnu_sysctl(all, 5, NULL, &len, NULL, 0), EINVAL);
	fails(xnu_sysctl(all, 6, NULL, &len, list, 1), EPERM);
}
END_TEST

START_TEST(interfaces_are_listed)
{
	const uint8_t mask[8] = { 7, INET, 0, 0, 255, 255, 255 };
	const uint8_t end[16] = { 16, INET, 0, 0, 10, 9, 0, 2 };
	const unsigned index = ready_utun();
	static uint8_t list[4096];
	size_t len, at;

	for (int second = 0; second < 2; second++) {
		const int name[] = { XNU_CTL_NET, XNU_AF_ROUTE, 0, 0,
				     second ? XNU_NET_RT_IFLIST2
					    : XNU_NET_RT_IFLIST,
				     (int)index };
		const size_t header = second ? XNU_IFM2_SIZE : XNU_IFM_SIZE;
		const size_t data = second ? XNU_IFM2_DATA : XNU_IFM_DATA;

		len = sizeof(list);
		works(xnu_sysctl(name, 6, list, &len, NULL, 0));
		at = record(list, 0, second ? XNU_RTM_IFINFO2 : XNU_RTM_IFINFO);
		ck_assert_uint_eq(at, header + XNU_SDL_SIZE);
		ck_assert_uint_eq(get4(list + data + XNU_IFI_MTU), 1500);
		ck_assert_mem_eq(list + header + XNU_SDL_DATA, "utun0", 5);
		ck_assert_uint_eq(get4(list + at + XNU_IFM_ADDRS),
				  XNU_RTA_NETMASK | XNU_RTA_IFA | XNU_RTA_BRD);
		ck_assert_mem_eq(list + at + XNU_IFAM_SIZE, mask, 8);
		ck_assert_mem_eq(list + at + XNU_IFAM_SIZE + 8, end, 16);
		ck_assert_mem_eq(list + at + XNU_IFAM_SIZE + 24, end, 16);
		at = record(list, at, XNU_RTM_NEWADDR);
		ck_assert_uint_eq(list[at + XNU_IFAM_SIZE], XNU_SIN6_SIZE);
		at = record(list, at, XNU_RTM_NEWADDR);
		ck_assert_uint_eq(at, len);
	}
}
END_TEST

START_TEST(answers_have_masks)
{
	const unsigned index = ready_utun();
	const int fd = xnu_socket(XNU_AF_ROUTE, XNU_SOCK_RAW, 0);
	uint8_t answer[ROOM];
	struct message m;
	int end = XNU_RTM_SIZE + XNU_SIN6_SIZE + XNU_SDL_SIZE;

	works(by_link(fd, XNU_RTM_ADD, "fd20::", "ffff::", index, 0));
	begin_message(&m, XNU_RTM_GET, 0);
	ip_in(&m, XNU_RTA_DST, "fd20::7");
	works(say(fd, &m));
	ck_assert_int_gt(xnu_recv(fd, answer, sizeof(answer), 0), 0);
	ck_assert_int_eq(xnu_recv(fd, answer, sizeof(answer), 0), end + 12);
	ck_assert_uint_eq(answer[end], 10);
	ck_assert_uint_eq(answer[end + 1], 255);
	/* With a mask it must be that one's. */
	ip_in(&m, XNU_RTA_NETMASK, "fffe::");
	fails(say(fd, &m), ESRCH);
	works(by_link(fd, XNU_RTM_DELETE, "fd20::", "ffff::", index, 0));
	ck_assert_int_gt(xnu_recv(fd, answer, sizeof(answer), 0), 0);
	ck_assert_int_eq(xnu_recv(fd, answer, sizeof(answer), 0),
			 end + XNU_SIN6_SIZE);
	ck_assert_uint_eq(answer[end], XNU_SIN6_SIZE);
}
END_TEST

START_TEST(answers_that_nobody_reads)
{
	const unsigned index = ready_utun();
	const int fd = xnu_socket(XNU_AF_ROUTE, XNU_SOCK_RAW, 0);
	const uint8_t soon[XNU_TIMEVAL_SIZE] = { [8] = 1 };
	uint8_t answer[ROOM];

	fails(xnu_setsockopt(fd, XNU_SOL_SOCKET, XNU_SO_RCVTIMEO, soon, 8),
	      EINVAL);
	works(xnu_setsockopt(fd, XNU_SOL_SOCKET, XNU_SO_RCVTIMEO, soon,
			     sizeof(soon)));
	fails(xnu_read(fd, answer, sizeof(answer)), EAGAIN);
	fails(xnu_recv(fd, answer, sizeof(answer), XNU_MSG_DONTWAIT), EAGAIN);
	fails(xnu_shutdown(fd, 3), EINVAL);
	fails(xnu_shutdown(1999, XNU_SHUT_RD), EBADF);
	works(by_link(fd, XNU_RTM_ADD, "fd20::", "ffff::", index, 0));
	works(xnu_shutdown(fd, XNU_SHUT_RD));
	fails(xnu_shutdown(fd, XNU_SHUT_RD), ENOTCONN);
	ck_assert_int_eq(xnu_read(fd, answer, sizeof(answer)), 0);
	works(by_link(fd, XNU_RTM_DELETE, "fd20::", "ffff::", index, 0));
	ck_assert_int_eq(xnu_read(fd, answer, sizeof(answer)), 0);
}
END_TEST

/* The next message that was not asked for. */
static unsigned told(int fd)
{
	uint8_t message[ROOM];

	ck_assert_int_gt(xnu_recv(fd, message, sizeof(message), 0), 0);
	return message[XNU_RTM_TYPE];
}

START_TEST(changes_are_told)
{
	const int inet = xnu_socket(INET, XNU_SOCK_DGRAM, 0);
	const int six = xnu_socket(INET6, XNU_SOCK_DGRAM, 0);
	const int all = routes();
	const int only6 = xnu_socket(XNU_AF_ROUTE, XNU_SOCK_RAW, INET6);
	int value = 1400;

	utun();
	works(xnu_fcntl(all, XNU_F_SETFL, XNU_O_NONBLOCK));
	works(add4(inet, "10.9.0.2", "10.9.0.2", NULL));
	ck_assert_uint_eq(told(all), XNU_RTM_NEWADDR);
	ck_assert_uint_eq(told(all), XNU_RTM_ADD);
	works(del4(inet, "utun0", "10.9.0.2"));
	ck_assert_uint_eq(told(all), XNU_RTM_DELETE);
	ck_assert_uint_eq(told(all), XNU_RTM_DELADDR);
	works(add6(six, "fd00:9::2", "ffff:ffff:ffff:ffff::"));
	ck_assert_uint_eq(told(all), XNU_RTM_NEWADDR);
	ck_assert_uint_eq(told(all), XNU_RTM_ADD);
	ck_assert_uint_eq(told(only6), XNU_RTM_NEWADDR);
	ck_assert_uint_eq(told(only6), XNU_RTM_ADD);
	works(del6(six, "fd00:9::2"));
	ck_assert_uint_eq(told(all), XNU_RTM_DELETE);
	ck_assert_uint_eq(told(all), XNU_RTM_DELADDR);
	works(link_request(inet, XNU_SIOCSIFMTU, "utun0", &value));
	ck_assert_uint_eq(told(all), XNU_RTM_IFINFO);
	value = 0;
	works(link_request(inet, XNU_SIOCSIFFLAGS, "utun0", &value));
	ck_assert_uint_eq(told(all), XNU_RTM_IFINFO);
	works(link_request(inet, XNU_SIOCSIFFLAGS, "utun0", &value));
	fails(xnu_read(all, &value, sizeof(value)), EAGAIN);
	/* A link is of no family. */
	ck_assert_uint_eq(told(only6), XNU_RTM_DELETE);
	ck_assert_uint_eq(told(only6), XNU_RTM_DELADDR);
	works(xnu_fcntl(only6, XNU_F_SETFL, XNU_O_NONBLOCK));
	fails(xnu_read(only6, &value, sizeof(value)), EAGAIN);
}
END_TEST

/* Who asks for one family alone has no answer to what he adds. */
START_TEST(answers_have_no_family)
{
	const unsigned index = ready_utun();
	const int fd = xnu_socket(XNU_AF_ROUTE, XNU_SOCK_RAW, INET);
	uint8_t byte;

	works(xnu_fcntl(fd, XNU_F_SETFL, XNU_O_NONBLOCK));
	works(by_link(fd, XNU_RTM_ADD, "10.20.0.0", "255.255.0.0", index, 0));
	fails(xnu_read(fd, &byte, sizeof(byte)), EAGAIN);
	works(by_link(fd, XNU_RTM_DELETE, "10.20.0.0", "255.255.0.0", index,
		      0));
	ck_assert_uint_eq(told(fd), XNU_RTM_DELETE);
}
END_TEST

/* Of two ends that are the same the second is not told of: it has no route. */
START_TEST(an_address_without_a_route_is_not_told)
{
	const int inet = xnu_socket(INET, XNU_SOCK_DGRAM, 0);
	const int all = routes();
	uint8_t byte;

	utun();
	works(add4(inet, "10.9.0.2", "10.9.0.1", NULL));
	works(xnu_fcntl(all, XNU_F_SETFL, XNU_O_NONBLOCK));
	ck_assert_uint_eq(told(all), XNU_RTM_NEWADDR);
	ck_assert_uint_eq(told(all), XNU_RTM_ADD);
	works(add4(inet, "10.9.0.3", "10.9.0.1", NULL));
	fails(xnu_read(all, &byte, sizeof(byte)), EAGAIN);
}
END_TEST

START_TEST(a_full_socket_misses_some)
{
	const int inet = xnu_socket(INET, XNU_SOCK_DGRAM, 0);
	const int all = routes();
	uint8_t message[ROOM];
	int value, n = 0;

	utun();
	for (value = 1000; value < 1200; value++)
		works(link_request(inet, XNU_SIOCSIFMTU, "utun0", &value));
	works(xnu_fcntl(all, XNU_F_SETFL, XNU_O_NONBLOCK));
	while (xnu_read(all, message, sizeof(message)) > 0)
		n++;
	ck_assert_int_eq(xnu_errno, XNU_EAGAIN);
	ck_assert_int_eq(n, 8192 / XNU_IFM_SIZE);
}
END_TEST

/* IPv4's routes go with the host route; IPv6's stay. */
START_TEST(down_takes_routes)
{
	const int inet = xnu_socket(INET, XNU_SOCK_DGRAM, 0);
	const unsigned index = ready_utun();
	const int fd = routes();
	int value = 0;

	works(by_link(fd, XNU_RTM_ADD, "10.20.0.0", "255.255.0.0", index, 0));
	works(by_link(fd, XNU_RTM_ADD, "fd20::", "ffff::", index, 0));
	works(link_request(inet, XNU_SIOCSIFFLAGS, "utun0", &value));
	ck_assert(!has("route 10.20.0.0/16") && !has("route 10.9.0.2"));
	ck_assert(has("route fd20::/16") && has("address 10.9.0.2/24"));
	value = XNU_IFF_UP;
	works(link_request(inet, XNU_SIOCSIFFLAGS, "utun0", &value));
	ck_assert(has("route 10.9.0.2 dev utun0\n"));
	ck_assert(!has("route 10.20.0.0/16"));
}
END_TEST

/* Also the host route to its other end, if somebody has made that anew. */
START_TEST(removing_an_address_leaves_static_routes)
{
	const int inet = xnu_socket(INET, XNU_SOCK_DGRAM, 0);
	const int fd = routes();
	int device = utun();
	unsigned index;

	works(add4(inet, "10.9.0.2", "10.9.0.2", "255.255.255.0"));
	index = xnu_if_nametoindex("utun0");
	works(by_link(fd, XNU_RTM_ADD, "10.20.0.0", "255.255.0.0", index, 0));
	works(by_link(fd, XNU_RTM_DELETE, "10.9.0.2", NULL, index,
		      XNU_RTF_HOST));
	works(by_link(fd, XNU_RTM_ADD, "10.9.0.2", NULL, index, XNU_RTF_HOST));
	works(del4(inet, "utun0", "10.9.0.2"));
	ck_assert(has("route 10.20.0.0/16 dev utun0 static\n"));
	ck_assert(has("route 10.9.0.2 dev utun0 static\n"));
	works(xnu_close(device));
	ck_assert(!has("10.20.0.0") && !has("10.9.0.2"));
}
END_TEST

/* --- packets --- */

static const uint8_t packet4[24] = { 0x45, [19] = 4 };

static void frame(uint8_t *bytes, unsigned family)
{
	memset(bytes, 0, 64);
	bytes[3] = (uint8_t)family;
	bytes[4] = family == INET ? 0x45 : 0x60;
}

START_TEST(one_packet_a_write)
{
	const int fd = control();
	uint8_t bytes[64], taken[64];
	unsigned lost;

	frame(bytes, INET);
	fails(xnu_write(fd, bytes, sizeof(bytes)), ENOTCONN);
	fails(xnu_read(fd, bytes, sizeof(bytes)), ENOTCONN);
	works(connect_unit(fd, 0));
	/* No address of the family yet, and no header: gone without a word. */
	ck_assert_int_eq(xnu_write(fd, bytes, sizeof(bytes)), 64);
	works(add4(xnu_socket(INET, XNU_SOCK_DGRAM, 0), "10.9.0.2", "10.9.0.2",
		   NULL));
	ck_assert_int_eq(xnu_write(fd, bytes, 3), 3);
	frame(bytes, INET6);
	ck_assert_int_eq(xnu_write(fd, bytes, sizeof(bytes)), 64);
	bytes[0] = INET;	/* the host's order is the wrong one */
	bytes[3] = 0;
	ck_assert_int_eq(xnu_write(fd, bytes, sizeof(bytes)), 64);
	lost = xnu_not_taken("utun0");
	ck_assert_uint_eq(lost, 4);
	frame(bytes, INET);
	ck_assert_int_eq(xnu_write(fd, bytes, sizeof(bytes)), 64);
	ck_assert_uint_eq(xnu_not_taken("utun0"), lost);
	ck_assert_uint_eq(xnu_taken("utun0", taken, sizeof(taken)), 60);
	ck_assert_mem_eq(taken, bytes + 4, 60);
	ck_assert_uint_eq(xnu_taken("utun0", taken, sizeof(taken)), 0);
}
END_TEST

START_TEST(too_long_for_one)
{
	const size_t len = 512 * 1024 + 1;
	uint8_t *bytes = calloc(1, len);

	ck_assert_ptr_nonnull(bytes);
	fails(xnu_write(utun(), bytes, len), EMSGSIZE);
	free(bytes);
}
END_TEST

START_TEST(one_packet_a_read)
{
	const uint8_t header[4] = { 0, 0, 0, INET };
	const int fd = utun();
	uint32_t pending = 3;
	uint8_t bytes[64], iov[32] = { 0 }, head[4];
	int left;

	ck_assert(xnu_send_into("utun0", packet4, sizeof(packet4)));
	/* One waits by default, as many as one wishes otherwise. */
	ck_assert(!xnu_send_into("utun0", packet4, sizeof(packet4)));
	works(xnu_setsockopt(fd, XNU_SYSPROTO_CONTROL,
			     XNU_UTUN_OPT_MAX_PENDING_PACKETS, &pending, 4));
	ck_assert(xnu_send_into("utun0", packet4, sizeof(packet4)));
	ck_assert(xnu_send_into("utun0", packet4, sizeof(packet4)));
	ck_assert(!xnu_send_into("utun0", packet4, sizeof(packet4)));
	works(xnu_ioctl(fd, XNU_FIONREAD, &left));
	ck_assert_int_eq(left, 3 * 28);
	ck_assert_int_eq(xnu_read(fd, bytes, sizeof(bytes)), 28);
	ck_assert_mem_eq(bytes, header, 4);
	ck_assert_mem_eq(bytes + 4, packet4, sizeof(packet4));
	put_pointer(iov, head);
	put4(iov + 8, sizeof(head));
	put_pointer(iov + 16, bytes);
	put4(iov + 24, sizeof(bytes));
	ck_assert_int_eq(xnu_readv(fd, iov, 2), 28);
	ck_assert_mem_eq(head, header, 4);
	ck_assert_mem_eq(bytes, packet4, sizeof(packet4));
	/* The rest of what has no room is lost. */
	ck_assert_int_eq(xnu_read(fd, bytes, 10), 10);
	works(xnu_fcntl(fd, XNU_F_SETFL, XNU_O_NONBLOCK));
	fails(xnu_read(fd, bytes, sizeof(bytes)), EAGAIN);
	fails(xnu_readv(fd, iov, 0), EINVAL);
}
END_TEST

struct batch {
	uint8_t headers[MANY * XNU_MSGHDR_X_SIZE];
	uint8_t iovs[MANY * XNU_IOVEC_SIZE];
	uint8_t bytes[MANY][64];
};

static void prepare(struct batch *b)
{
	memset(b, 0, sizeof(*b));
	for (unsigned i = 0; i < MANY; i++) {
		uint8_t *m = b->headers + i * XNU_MSGHDR_X_SIZE;
		uint8_t *iov = b->iovs + i * XNU_IOVEC_SIZE;

		frame(b->bytes[i], INET);
		put_pointer(iov, b->bytes[i]);
		put4(iov + 8, sizeof(b->bytes[i]));
		put_pointer(m + XNU_MSG_IOV, iov);
		put4(m + XNU_MSG_IOVLEN, 1);
	}
}

START_TEST(batches)
{
	static struct batch b;
	const int fd = utun();
	uint32_t pending = MANY;

	prepare(&b);
	works(add4(xnu_socket(INET, XNU_SOCK_DGRAM, 0), "10.9.0.2", "10.9.0.2",
		   NULL));
	ck_assert_int_eq(xnu_sendmsg_x(fd, b.headers, 2, 0), 2);
	ck_assert_int_eq(xnu_sendmsg_x(fd, b.headers, MANY, 0), 100);
	ck_assert_uint_eq(xnu_taken("utun0", b.bytes[0], 64), 60);
	works(xnu_setsockopt(fd, XNU_SYSPROTO_CONTROL,
			     XNU_UTUN_OPT_MAX_PENDING_PACKETS, &pending, 4));
	fails(xnu_recvmsg_x(fd, b.headers, 2, XNU_MSG_DONTWAIT), EAGAIN);
	for (unsigned i = 0; i < 3; i++)
		ck_assert(xnu_send_into("utun0", packet4, sizeof(packet4)));
	put4(b.iovs + XNU_IOVEC_SIZE + 8, 9);
	ck_assert_int_eq(xnu_recvmsg_x(fd, b.headers, 8, 0), 3);
	ck_assert_uint_eq(get4(b.headers + XNU_MSG_DATALEN), 28);
	/* What was cut is not marked. */
	ck_assert_uint_eq(get4(b.headers + XNU_MSGHDR_X_SIZE +
			       XNU_MSG_DATALEN), 9);
	ck_assert_uint_eq(get4(b.headers + XNU_MSGHDR_X_SIZE + XNU_MSG_FLAGS),
			  0);
	fails(xnu_recvmsg_x(fd, b.headers, 0, 0), EINVAL);
	fails(xnu_recvmsg_x(fd, b.headers, 1025, 0), EINVAL);
	fails(xnu_recvmsg_x(fd, b.headers, 1, 1), EINVAL);
	put4(b.headers + XNU_MSG_FLAGS, 1);
	fails(xnu_sendmsg_x(fd, b.headers, 1, 0), EINVAL);
	put4(b.headers + XNU_MSG_IOVLEN, 0);
	fails(xnu_sendmsg_x(fd, b.headers, 1, 0), EMSGSIZE);
	fails(xnu_sendmsg_x(1999, b.headers, 1, 0), EBADF);
}
END_TEST

START_TEST(poll_tells)
{
	uint8_t fds[16] = { 0 };
	const int fd = utun();

	put4(fds, (uint32_t)fd);
	put2(fds + 4, XNU_POLLIN | XNU_POLLOUT);
	put4(fds + 8, 1999);
	put2(fds + 12, XNU_POLLIN);
	ck_assert_int_eq(xnu_poll(fds, 2, 0), 2);
	ck_assert_uint_eq(fds[6], XNU_POLLOUT);
	ck_assert_uint_eq(fds[14], XNU_POLLNVAL);
	put2(fds + 4, XNU_POLLIN);
	ck_assert_int_eq(xnu_poll(fds, 1, 0), 0);
	ck_assert(xnu_send_into("utun0", packet4, sizeof(packet4)));
	ck_assert_int_eq(xnu_poll(fds, 1, -1), 1);
	ck_assert_uint_eq(fds[6], XNU_POLLIN);
}
END_TEST

/* --- peers, and fds in messages --- */

struct letter {
	uint8_t header[XNU_MSGHDR_SIZE], iov[XNU_IOVEC_SIZE];
	uint8_t control[64], bytes[8];
};

static void write_letter(struct letter *l, uint32_t controllen)
{
	memset(l, 0, sizeof(*l));
	put_pointer(l->iov, l->bytes);
	put4(l->iov + 8, sizeof(l->bytes));
	put_pointer(l->header + XNU_MSG_IOV, l->iov);
	put4(l->header + XNU_MSG_IOVLEN, 1);
	if (!controllen)
		return;
	put_pointer(l->header + XNU_MSG_CONTROL, l->control);
	put4(l->header + XNU_MSG_CONTROLLEN, controllen);
}

static void enclose(struct letter *l, uint32_t len, int fd)
{
	put4(l->control + XNU_CMSG_LEN, len);
	put4(l->control + XNU_CMSG_LEVEL, XNU_SOL_SOCKET);
	put4(l->control + XNU_CMSG_TYPE, XNU_SCM_RIGHTS);
	put4(l->control + XNU_CMSG_DATA, (uint32_t)fd);
}

START_TEST(an_fd_goes_over)
{
	const int fd = utun();
	struct letter l;
	int pair[2], got;

	works(xnu_socketpair(XNU_AF_UNIX, XNU_SOCK_STREAM, 0, pair));
	works(xnu_fcntl(fd, XNU_F_SETFD, XNU_FD_CLOEXEC));
	write_letter(&l, 16);
	enclose(&l, 16, fd);
	ck_assert_int_eq(xnu_sendmsg(pair[0], l.header, 0), 8);
	ck_assert(is_shared(fd));
	works(xnu_close(fd));	/* in flight it lives */
	ck_assert_uint_ne(xnu_if_nametoindex("utun0"), 0);
	write_letter(&l, sizeof(l.control));
	ck_assert_int_eq(xnu_recvmsg(pair[1], l.header, 0), 8);
	ck_assert_uint_eq(get4(l.header + XNU_MSG_CONTROLLEN), 16);
	got = (int)get4(l.control + XNU_CMSG_DATA);
	ck_assert(!xnu_closes_on_exec(got));
	ck_assert_str_eq(name_of(got), "utun0");
	works(xnu_close(got));
	works(xnu_close(pair[0]));
	works(xnu_close(pair[1]));
	ck_assert_str_eq(xnu_leaks(), "");
}
END_TEST

START_TEST(fds_that_do_not_go_over)
{
	struct letter l;
	int pair[2];

	works(xnu_socketpair(XNU_AF_UNIX, XNU_SOCK_STREAM, 0, pair));
	write_letter(&l, 20);
	enclose(&l, 16, pair[0]);	/* the two lengths differ */
	fails(xnu_sendmsg(pair[0], l.header, 0), EINVAL);
	write_letter(&l, 16);
	enclose(&l, 16, 1999);
	fails(xnu_sendmsg(pair[0], l.header, 0), EBADF);
	enclose(&l, 16, pair[0]);
	put4(l.control + XNU_CMSG_LEVEL, 1);	/* Linux' SOL_SOCKET */
	fails(xnu_sendmsg(pair[0], l.header, 0), EINVAL);
	put4(l.header + XNU_MSG_IOVLEN, 0);
	fails(xnu_sendmsg(pair[0], l.header, 0), EMSGSIZE);
	/* A reader without room for them has them all the same. */
	write_letter(&l, 16);
	enclose(&l, 16, pair[0]);
	ck_assert_int_eq(xnu_sendmsg(pair[0], l.header, 0), 8);
	write_letter(&l, 8);
	ck_assert_int_eq(xnu_recvmsg(pair[1], l.header, 0), 8);
	ck_assert_uint_eq(get4(l.header + XNU_MSG_FLAGS), XNU_MSG_CTRUNC);
	works(xnu_close(pair[0]));
	works(xnu_close(pair[1]));
	ck_assert_ptr_nonnull(strstr(xnu_leaks(), "fd 1002, "));
}
END_TEST

/* recvit(): without a place for control data nothing says that fds came. */
START_TEST(fds_that_nobody_is_told_of)
{
	struct letter l;
	int pair[2];

	works(xnu_socketpair(XNU_AF_UNIX, XNU_SOCK_STREAM, 0, pair));
	write_letter(&l, 16);
	enclose(&l, 16, pair[0]);
	ck_assert_int_eq(xnu_sendmsg(pair[0], l.header, 0), 8);
	ck_assert_int_eq(xnu_sendmsg(pair[0], l.header, 0), 8);
	write_letter(&l, 0);
	ck_assert_int_eq(xnu_recvmsg(pair[1], l.header, 0), 8);
	ck_assert_uint_eq(get4(l.header + XNU_MSG_FLAGS), 0);
	ck_assert_int_eq(xnu_read(pair[1], l.bytes, sizeof(l.bytes)), 8);
	works(xnu_close(pair[0]));
	works(xnu_close(pair[1]));
	ck_assert_ptr_nonnull(strstr(xnu_leaks(), "fd 1002, "));
	ck_assert_ptr_nonnull(strstr(xnu_leaks(), "fd 1003, "));
}
END_TEST

START_TEST(fds_that_are_peeked_at)
{
	struct letter l;
	int pair[2];

	works(xnu_socketpair(XNU_AF_UNIX, XNU_SOCK_STREAM, 0, pair));
	write_letter(&l, 16);
	enclose(&l, 16, pair[0]);
	ck_assert_int_eq(xnu_sendmsg(pair[0], l.header, 0), 8);
	write_letter(&l, 0);
	ck_assert_int_eq(xnu_recvmsg(pair[1], l.header, XNU_MSG_PEEK), 8);
	ck_assert_uint_eq(get4(l.header + XNU_MSG_FLAGS), XNU_MSG_PEEK);
	write_letter(&l, 12);
	ck_assert_int_eq(xnu_recvmsg(pair[1], l.header, XNU_MSG_PEEK), 8);
	ck_assert_uint_eq(get4(l.header + XNU_MSG_FLAGS),
			  XNU_MSG_PEEK | XNU_MSG_CTRUNC);
	write_letter(&l, 16);
	ck_assert_int_eq(xnu_recvmsg(pair[1], l.header, XNU_MSG_PEEK), 8);
	ck_assert_uint_eq(get4(l.header + XNU_MSG_CONTROLLEN), 16);
	ck_assert_uint_eq(get4(l.control + XNU_CMSG_DATA), 0);
	works(xnu_close(pair[0]));
	works(xnu_close(pair[1]));
	ck_assert_str_eq(xnu_leaks(), "");
}
END_TEST

START_TEST(who_connected)
{
	const uint32_t groups[] = { 20, 80, 501 };
	uint32_t len = XNU_XUCRED_SIZE, uid, gid;
	uint8_t cred[XNU_XUCRED_SIZE];
	int client, fd = xnu_accepted(501, groups, 3, &client);

	works(xnu_close(client));
	works(xnu_getsockopt(fd, XNU_SOL_LOCAL, XNU_LOCAL_PEERCRED, cred,
			     &len));
	ck_assert_uint_eq(len, XNU_XUCRED_SIZE);
	ck_assert_uint_eq(get4(cred + XNU_XUCRED_UID), 501);
	ck_assert_uint_eq(cred[XNU_XUCRED_NGROUPS], 3);
	ck_assert_uint_eq(get4(cred + XNU_XUCRED_GROUPS + 4), 80);
	works(xnu_getpeereid(fd, &uid, &gid));
	ck_assert_uint_eq(uid, 501);
	ck_assert_uint_eq(gid, 20);
	fails(xnu_getsockopt(fd, XNU_SOL_LOCAL, XNU_LOCAL_PEERPID, cred, &len),
	      ENOTCONN);
	fd = xnu_socket(XNU_AF_UNIX, XNU_SOCK_STREAM, 0);
	fails(xnu_getsockopt(fd, XNU_SOL_LOCAL, XNU_LOCAL_PEERCRED, cred,
			     &len), ENOTCONN);
	fails(xnu_getpeereid(fd, &uid, &gid), ENOTCONN);
}
END_TEST

START_TEST(a_stream_ends)
{
	int on = 1, pair[2];
	uint8_t bytes[8];

	works(xnu_socketpair(XNU_AF_UNIX, XNU_SOCK_STREAM, 0, pair));
	ck_assert_int_eq(xnu_write(pair[0], "abcdef", 6), 6);
	ck_assert_int_eq(xnu_read(pair[1], bytes, 4), 4);
	ck_assert_int_eq(xnu_read(pair[1], bytes, sizeof(bytes)), 2);
	works(xnu_close(pair[0]));
	ck_assert_int_eq(xnu_read(pair[1], bytes, sizeof(bytes)), 0);
	fails(xnu_send(pair[1], "x", 1, XNU_MSG_NOSIGNAL), EPIPE);
	works(xnu_setsockopt(pair[1], XNU_SOL_SOCKET, XNU_SO_NOSIGPIPE, &on,
			     sizeof(on)));
	ck_assert_int_eq(xnu_fcntl(pair[1], XNU_F_GETNOSIGPIPE, 0), 1);
	fails(xnu_write(pair[1], "x", 1), EPIPE);
}
END_TEST

START_TEST(bound_to_an_interface)
{
	const int four = xnu_socket(INET, XNU_SOCK_DGRAM, 0);
	const int six = xnu_socket(INET6, XNU_SOCK_DGRAM, 0);
	uint32_t index = xnu_if_nametoindex("en0");

	works(xnu_setsockopt(four, XNU_IPPROTO_IP, XNU_IP_BOUND_IF, &index, 4));
	works(xnu_setsockopt(six, XNU_IPPROTO_IPV6, XNU_IPV6_BOUND_IF, &index,
			     4));
	fails(xnu_setsockopt(four, XNU_IPPROTO_IP, XNU_IP_BOUND_IF, &index, 2),
	      EINVAL);
	index = 99;
	fails(xnu_setsockopt(four, XNU_IPPROTO_IP, XNU_IP_BOUND_IF, &index, 4),
	      ENXIO);
}
END_TEST

/* --- failures, and what one can see --- */

START_TEST(failures_on_demand)
{
	const int inet = xnu_socket(INET, XNU_SOCK_DGRAM, 0);
	const int fd = routes();
	const unsigned index = ready_utun();
	int other;

	xnu_fail_call(2, XNU_ENOMEM);
	other = control();
	fails(xnu_close(other), ENOMEM);
	fails(xnu_close(other), EBADF);
	xnu_fail("SIOCAIFADDR", 2, XNU_ENOBUFS);
	works(add4(inet, "10.10.0.2", "10.10.0.2", NULL));
	fails(add4(inet, "10.11.0.2", "10.11.0.2", NULL), ENOBUFS);
	ck_assert(!has("10.11.0.2"));
	xnu_fail("RTM_ADD", 1, XNU_ENOBUFS);
	xnu_fail("F_SETFD", 1, XNU_EBADF);
	ck_assert_uint_eq(xnu_failures_left(), 2);
	fails(by_link(fd, XNU_RTM_ADD, "10.20.0.0", "255.255.0.0", index, 0),
	      ENOBUFS);
	ck_assert(!has("10.20.0.0"));
	fails(xnu_fcntl(fd, XNU_F_SETFD, XNU_FD_CLOEXEC), EBADF);
	ck_assert_uint_eq(xnu_failures_left(), 0);
	xnu_fail("if_nametoindex", 1, XNU_ENOMEM);
	ck_assert_uint_eq(xnu_if_nametoindex("utun0"), 0);
	xnu_fail("UTUN_OPT_IFNAME", 1, XNU_ENOMEM);
	fails(xnu_getsockopt(utun(), XNU_SYSPROTO_CONTROL,
			     XNU_UTUN_OPT_IFNAME, NULL, &(uint32_t){ 0 }),
	      ENOMEM);
}
END_TEST

START_TEST(calls_are_told)
{
	const int inet = xnu_socket(INET, XNU_SOCK_DGRAM, 0);
	const int fd = routes();
	const unsigned index = ready_utun();
	const unsigned before = xnu_call_count();

	xnu_forget_calls();
	fails(add4(inet, "10.9.0.3", NULL, "255.255.255.0"), EDESTADDRREQ);
	works(by_link(fd, XNU_RTM_ADD, "10.20.0.0", "255.255.0.0", index, 0));
	works(xnu_close(inet));
	ck_assert_str_eq(xnu_calls(),
		"ioctl(1000, SIOCAIFADDR, utun0, 10.9.0.3 -> 0.0.0.0, "
		"mask 255.255.255.0) = -1 EDESTADDRREQ\n"
		"write(1001, 144 bytes, RTM_ADD, 10.20.0.0/16 by interface 3, "
		"flags 0x801, index 0) = 144\n"
		"close(1000) = 0\n");
	ck_assert_uint_eq(xnu_call_count() - before, 3);
}
END_TEST

START_TEST(leaks_are_told)
{
	const int fd = routes();
	const unsigned index = ready_utun();
	const char *leaks;

	works(by_link(fd, XNU_RTM_ADD, "10.20.0.0", "255.255.0.0", index, 0));
	works(by_link(fd, XNU_RTM_DELETE, "192.168.1.0", "255.255.255.0", 2,
		      0));
	leaks = xnu_leaks();
	ck_assert_ptr_nonnull(strstr(leaks,
				     "fd 1000, a socket of family 17\n"));
	ck_assert_ptr_nonnull(strstr(leaks, "\ninterface utun0 "));
	ck_assert_ptr_nonnull(strstr(leaks, "\naddress 10.9.0.2/24 "));
	ck_assert_ptr_nonnull(strstr(leaks, "\nroute 10.20.0.0/16 "));
	ck_assert_ptr_nonnull(strstr(leaks,
				     "\nlost: route 192.168.1.0/24 "));
	xnu_reset();
	ck_assert_str_eq(xnu_leaks(), "");
	ck_assert_str_eq(xnu_calls(), "");
}
END_TEST

START_TEST(addresses_are_listed)
{
	struct xnu_ifaddr all[16];
	unsigned n = xnu_getifaddrs(all, 1);

	ck_assert_uint_eq(n, 4);
	ready_utun();
	ck_assert_uint_eq(xnu_getifaddrs(all, 16), n + 2);
	ck_assert_str_eq(all[n].name, "utun0");
	ck_assert_int_eq(all[n].family, INET);
	ck_assert_uint_eq(all[n].ip[0], 10);
	ck_assert_uint_eq(all[n].mask[2], 255);
	ck_assert_int_eq(all[n + 1].family, INET6);
}
END_TEST

/* --- what is not known --- */

static void ask_an_unknown_request(void)
{
	uint8_t bytes[64] = { 0 };

	xnu_ioctl(control(), 0x8020690c, bytes);	/* SIOCSIFADDR */
}

static void ask_an_unknown_control(void)
{
	uint8_t info[100] = { 0 };

	strcpy((char *)info + XNU_CTL_INFO_NAME, "com.apple.net.ipsec_control");
	xnu_ioctl(control(), XNU_CTLIOCGINFO, info);
}

static void ask_an_unknown_option(void)
{
	int value = 1;

	xnu_setsockopt(utun(), XNU_SYSPROTO_CONTROL, 17, &value, sizeof(value));
}

static void wait_for_ever(void)
{
	uint8_t bytes[64];

	xnu_read(utun(), bytes, sizeof(bytes));
}

static void add_a_mask_with_holes(void)
{
	utun();
	add4(xnu_socket(INET, XNU_SOCK_DGRAM, 0), "10.9.0.2", "10.9.0.2",
	     "255.0.255.0");
}

static void add_link_local(void)
{
	utun();
	add6(xnu_socket(INET6, XNU_SOCK_DGRAM, 0), "fe80::1",
	     "ffff:ffff:ffff:ffff::");
}

static void connect_a_refused_one(void)
{
	const int fd = control();

	utun();
	fails(connect_unit(fd, 1), EBUSY);
	connect_unit(fd, 2);
}

static void write_to_nobody(void)
{
	int pair[2];

	xnu_socketpair(XNU_AF_UNIX, XNU_SOCK_STREAM, 0, pair);
	xnu_close(pair[0]);
	xnu_write(pair[1], "x", 1);
}

static void change_a_route(void)
{
	by_link(routes(), XNU_RTM_CHANGE, "192.168.1.0", "255.255.255.0", 2, 0);
}

static void nothing(void)
{
}

START_TEST(what_is_not_known_ends)
{
	ck_assert(!dies(nothing));
	ck_assert(dies(ask_an_unknown_request));
	ck_assert(dies(ask_an_unknown_control));
	ck_assert(dies(ask_an_unknown_option));
	ck_assert(dies(wait_for_ever));
	ck_assert(dies(add_a_mask_with_holes));
	ck_assert(dies(add_link_local));
	ck_assert(dies(connect_a_refused_one));
	ck_assert(dies(write_to_nobody));
	ck_assert(dies(change_a_route));
}
END_TEST

/* Memory of another CPU: what stands in structures is found elsewhere. */
static uint8_t elsewhere[64];

static void *find(uint64_t address, uint64_t len)
{
	ck_assert_uint_le(address + len, 0x1000 + sizeof(elsewhere));
	return elsewhere + (address - 0x1000);
}

START_TEST(pointers_of_another_cpu)
{
	uint8_t iov[XNU_IOVEC_SIZE] = { 0, 0x10, [8] = 28 }, bytes[64];
	const int fd = utun();

	ck_assert(xnu_send_into("utun0", packet4, sizeof(packet4)));
	xnu_memory(find);
	ck_assert_int_eq(xnu_readv(fd, iov, 1), 28);
	ck_assert_mem_eq(elsewhere + 4, packet4, sizeof(packet4));
	/* What is an argument itself is no address of the other's. */
	ck_assert(xnu_send_into("utun0", packet4, sizeof(packet4)));
	ck_assert_int_eq(xnu_read(fd, bytes, sizeof(bytes)), 28);
	xnu_memory(NULL);
}
END_TEST

static void add_device_tests(TCase *t)
{
	tcase_add_test(t, controls_are_known_by_name);
	tcase_add_test(t, connect_refuses);
	tcase_add_test(t, units_are_names);
	tcase_add_test(t, it_comes_up_by_itself);
	tcase_add_test(t, its_options);
	tcase_add_test(t, the_detach_takes_time);
	tcase_add_test(t, the_last_fd_ends_it);
	tcase_add_test(t, a_unit_keeps_its_index);
	tcase_add_test(t, a_copy_is_seen);
	tcase_add_test(t, sockets_that_are_not);
	tcase_add_test(t, close_on_exec_is_the_fds);
	tcase_add_test(t, not_blocking_is_what_the_fd_refers_to);
	tcase_add_test(t, mtu);
	tcase_add_test(t, flags_that_stay);
}

static void add_process_tests(TCase *t)
{
	tcase_add_test(t, a_lock_is_of_what_was_opened);
	tcase_add_test(t, a_copy_keeps_the_lock);
	tcase_add_test(t, files_are_opened);
	tcase_add_test(t, root_becomes_another_for_good);
	tcase_add_test(t, no_group_is_the_first);
	tcase_add_test(t, a_pipe_stays_open_at_exec);
}

static void add_address_tests(TCase *t)
{
	tcase_add_test(t, an_address_has_a_host_route_only);
	tcase_add_test(t, addresses_that_are_refused);
	tcase_add_test(t, requests_of_other_sockets);
	tcase_add_test(t, masks_and_ends_that_are_left_out);
	tcase_add_test(t, two_of_the_same_end);
	tcase_add_test(t, a_prefix_has_its_route);
	tcase_add_test(t, the_same_prefix_elsewhere);
	tcase_add_test(t, the_same_address_elsewhere);
	tcase_add_test(t, addresses6_that_are_refused);
	tcase_add_test(t, the_other_end_wants_128);
	tcase_add_test(t, lifetimes_of_zero_expire);
	tcase_add_test(t, addresses_are_listed);
}

static void add_route_tests(TCase *t)
{
	tcase_add_test(t, by_an_interface);
	tcase_add_test(t, the_scope_is_the_gateways_interface);
	tcase_add_test(t, a_route_wants_an_address_of_its_family);
	tcase_add_test(t, removing_is_exact);
	tcase_add_test(t, by_a_gateway);
	tcase_add_test(t, halves_leave_the_default_alone);
	tcase_add_test(t, messages_that_are_refused);
	tcase_add_test(t, routing_rights_are_the_sockets);
	tcase_add_test(t, answers_come_back);
	tcase_add_test(t, answers_have_masks);
	tcase_add_test(t, answers_that_nobody_reads);
	tcase_add_test(t, changes_are_told);
	tcase_add_test(t, answers_have_no_family);
	tcase_add_test(t, an_address_without_a_route_is_not_told);
	tcase_add_test(t, a_full_socket_misses_some);
	tcase_add_test(t, routes_are_listed);
	tcase_add_test(t, interfaces_are_listed);
	tcase_add_test(t, down_takes_routes);
	tcase_add_test(t, removing_an_address_leaves_static_routes);
}

static void add_data_tests(TCase *t)
{
	tcase_add_test(t, one_packet_a_write);
	tcase_add_test(t, too_long_for_one);
	tcase_add_test(t, one_packet_a_read);
	tcase_add_test(t, batches);
	tcase_add_test(t, poll_tells);
	tcase_add_test(t, pointers_of_another_cpu);
	tcase_add_test(t, an_fd_goes_over);
	tcase_add_test(t, fds_that_do_not_go_over);
	tcase_add_test(t, fds_that_nobody_is_told_of);
	tcase_add_test(t, fds_that_are_peeked_at);
	tcase_add_test(t, who_connected);
	tcase_add_test(t, a_stream_ends);
	tcase_add_test(t, bound_to_an_interface);
}

static void add_own_tests(TCase *t)
{
	tcase_add_test(t, failures_on_demand);
	tcase_add_test(t, calls_are_told);
	tcase_add_test(t, leaks_are_told);
	tcase_add_test(t, what_is_not_known_ends);
}

int main(void)
{
	static const struct {
		const char *name;
		void (*add)(TCase *t);
	} cases[] = {
		{ "process", add_process_tests },
		{ "device", add_device_tests },
		{ "address", add_address_tests },
		{ "route", add_route_tests },
		{ "data", add_data_tests },
		{ "own", add_own_tests },
	};
	Suite *s = suite_create("xnu");
	SRunner *runner;
	int failed;

	for (unsigned i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		TCase *t = tcase_create(cases[i].name);

		tcase_add_checked_fixture(t, setup, teardown);
		cases[i].add(t);
		suite_add_tcase(s, t);
	}
	runner = srunner_create(s);
	srunner_run_all(runner, CK_ENV);
	failed = srunner_ntests_failed(runner);
	srunner_free(runner);
	return failed ? EXIT_FAILURE : EXIT_SUCCESS;
}
