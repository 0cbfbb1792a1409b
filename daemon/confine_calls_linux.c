/*
 * seccomp: which system calls the daemon can make once it serves.  What it works
 * with is open by then, but for accepted sockets, the device node and the
 * policy's files.
 */
#include <errno.h>
#include <sched.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mman.h>

#include <linux/if_tun.h>
#include <linux/sockios.h>
#include <seccomp.h>

#include "confine.h"
#include "refuse.h"
#include "support.h"

#define COUNT(a) (sizeof(a) / sizeof(*(a)))
/* With the field that this comparison has no use for: clang misses it. */
#define IS(value) SCMP_CMP_EQ, (value), 0

static const int allowed[] = {
	/* connections, netlink, the worker's pipe, the log */
	SCMP_SYS(accept4), SCMP_SYS(close), SCMP_SYS(fcntl), SCMP_SYS(fcntl64),
	SCMP_SYS(getsockname), SCMP_SYS(getsockopt), SCMP_SYS(setsockopt),
	SCMP_SYS(read), SCMP_SYS(readv), SCMP_SYS(recvfrom), SCMP_SYS(recvmsg),
	SCMP_SYS(sendmsg), SCMP_SYS(sendto), SCMP_SYS(shutdown),
	SCMP_SYS(write), SCMP_SYS(writev),
	/* what is kept spare; no socket, which could be used to talk */
	SCMP_SYS(eventfd2),
	/* the loop */
	SCMP_SYS(epoll_ctl), SCMP_SYS(epoll_pwait), SCMP_SYS(epoll_pwait2),
	SCMP_SYS(epoll_wait), SCMP_SYS(poll), SCMP_SYS(ppoll),
	SCMP_SYS(ppoll_time64), SCMP_SYS(clock_gettime),
	SCMP_SYS(clock_gettime64), SCMP_SYS(clock_nanosleep),
	SCMP_SYS(clock_nanosleep_time64), SCMP_SYS(gettimeofday),
	SCMP_SYS(nanosleep), SCMP_SYS(time),
	/* files: which, Landlock says */
	SCMP_SYS(fstat), SCMP_SYS(fstat64), SCMP_SYS(fstatat64),
	SCMP_SYS(getdents64), SCMP_SYS(_llseek), SCMP_SYS(lseek),
	SCMP_SYS(newfstatat), SCMP_SYS(open), SCMP_SYS(openat),
	SCMP_SYS(statx), SCMP_SYS(unlink), SCMP_SYS(unlinkat),
	/* libc */
	SCMP_SYS(brk), SCMP_SYS(exit), SCMP_SYS(exit_group), SCMP_SYS(futex),
	SCMP_SYS(futex_time64), SCMP_SYS(getrandom), SCMP_SYS(madvise),
	SCMP_SYS(mremap), SCMP_SYS(munmap), SCMP_SYS(restart_syscall),
	SCMP_SYS(rt_sigaction), SCMP_SYS(rt_sigprocmask),
	SCMP_SYS(rt_sigreturn), SCMP_SYS(sched_getaffinity),
	SCMP_SYS(sched_yield), SCMP_SYS(sigreturn),
	/* qsort(3), of much: how much memory is there? */
	SCMP_SYS(sysinfo),
	/* libc again, at the start of a thread that has just been made */
	SCMP_SYS(rseq), SCMP_SYS(set_robust_list),
	/* itself, and its end; of others its user can signal none */
	SCMP_SYS(geteuid), SCMP_SYS(geteuid32), SCMP_SYS(getpid),
	SCMP_SYS(gettid), SCMP_SYS(getuid), SCMP_SYS(getuid32), SCMP_SYS(kill),
	SCMP_SYS(tgkill), SCMP_SYS(uname), SCMP_SYS(wait4),
	SCMP_SYS(waitid),
#ifdef TUNTAPD_FAULT
	SCMP_SYS(ftruncate), SCMP_SYS(ftruncate64), SCMP_SYS(pread64),
	SCMP_SYS(pwrite64),
#endif
};

/* By their numbers: others of the kind reach terminals and the host's links. */
static const unsigned long ioctls[] = {
	TUNSETIFF, TUNGETIFF, TUNSETOWNER, SIOCGIFINDEX, SIOCGIFHWADDR,
	FIONREAD, SIOCOUTQ,
	/* os_birth_linux.c */
	TUNSETOFFLOAD, TUNSETDEBUG, TUNDETACHFILTER, TUNSETSTEERINGEBPF, TUNSETFILTEREBPF,
	TUNSETVNETHDRSZ, TUNSETVNETLE, TUNSETVNETBE, TUNSETSNDBUF,
	TUNSETCARRIER, TUNSETTXFILTER,
};

/* What no fault of ours does, but somebody who has taken us over. */
static const int deadly[] = {
	SCMP_SYS(execve), SCMP_SYS(execveat),
	SCMP_SYS(ptrace), SCMP_SYS(process_vm_readv),
	SCMP_SYS(process_vm_writev), SCMP_SYS(bpf), SCMP_SYS(io_uring_setup),
	SCMP_SYS(mount), SCMP_SYS(umount2), SCMP_SYS(pivot_root),
	SCMP_SYS(chroot), SCMP_SYS(fsopen), SCMP_SYS(fsmount),
	SCMP_SYS(fspick), SCMP_SYS(open_tree), SCMP_SYS(move_mount),
	SCMP_SYS(mount_setattr), SCMP_SYS(setns), SCMP_SYS(unshare),
	SCMP_SYS(init_module), SCMP_SYS(finit_module),
	SCMP_SYS(delete_module), SCMP_SYS(kexec_load),
	SCMP_SYS(kexec_file_load), SCMP_SYS(add_key), SCMP_SYS(keyctl),
	SCMP_SYS(request_key),
};
static const unsigned long new_spaces[] = {
	CLONE_NEWCGROUP, CLONE_NEWIPC, CLONE_NEWNET, CLONE_NEWNS, CLONE_NEWPID,
	CLONE_NEWUSER, CLONE_NEWUTS,
};

/*
 * Of a call that is in neither list.  The build for tests ends at it, so that
 * one that was forgotten cannot be missed, unless a test wants the product's.
 */
static uint32_t for_the_rest(void)
{
#ifdef TUNTAPD_STRICT
	if (!getenv("TUNTAPD_LENIENT"))
		return SCMP_ACT_TRAP;
#endif
	return SCMP_ACT_ERRNO(EPERM);
}

/* Memory, but none that code could be put into. */
static int add_memory(scmp_filter_ctx f)
{
	static const int calls[] = {
		SCMP_SYS(mmap), SCMP_SYS(mmap2), SCMP_SYS(mprotect),
	};
	int error = 0;

	for (size_t i = 0; !error && i < COUNT(calls); i++)
		error = seccomp_rule_add(f, SCMP_ACT_ALLOW, calls[i], 1,
			SCMP_A2(SCMP_CMP_MASKED_EQ, PROT_EXEC, 0));
	return error;
}

static int add_rules(scmp_filter_ctx f)
{
	int error = add_memory(f);

	for (size_t i = 0; !error && i < COUNT(allowed); i++)
		error = seccomp_rule_add(f, SCMP_ACT_ALLOW, allowed[i], 0);
	for (size_t i = 0; !error && i < COUNT(ioctls); i++)
		error = seccomp_rule_add(f, SCMP_ACT_ALLOW, SCMP_SYS(ioctl), 1,
			SCMP_A1(IS(ioctls[i])));
	for (size_t i = 0; !error && i < COUNT(deadly); i++)
		error = seccomp_rule_add(f, SCMP_ACT_KILL_PROCESS, deadly[i],
					 0);
	for (size_t i = 0; !error && i < COUNT(new_spaces); i++)
		error = seccomp_rule_add(f, SCMP_ACT_KILL_PROCESS,
			SCMP_SYS(clone), 1, SCMP_A0(SCMP_CMP_MASKED_EQ,
				new_spaces[i], new_spaces[i]));
	return error;
}

/* 0 or -errno. */
static int load(void)
{
	scmp_filter_ctx f = seccomp_init(for_the_rest());
	int error;

	if (!f)
		return -ENOMEM;
	error = seccomp_attr_set(f, SCMP_FLTATR_ACT_BADARCH,
				 SCMP_ACT_KILL_PROCESS);
	if (!error)
		error = seccomp_attr_set(f, SCMP_FLTATR_CTL_TSYNC, 1);
	if (!error)
		error = add_rules(f);
	if (!error)
		error = seccomp_load(f);
	seccomp_release(f);
	return error;
}

int confine_calls(struct wire_refused *why)
{
	int error;

	if (CONFINE_SANITIZED)
		return 0;
	error = load();
	if (error == -EINVAL || error == -ENOSYS) {
		support_note(SUPPORT_SECCOMP, false, "the daemon can make any "
			     "system call; the kernel needs "
			     "CONFIG_SECCOMP_FILTER");
		return 0;
	}
	if (error)
		return refuse(why, WIRE_E_FAILED, "start", "cannot confine the "
			      "daemon to the system calls that it needs "
			      "(seccomp): %s", strerror(-error));
	support_note(SUPPORT_SECCOMP, true, "for all threads");
	return 0;
}
