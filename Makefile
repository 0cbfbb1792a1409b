# tuntapd.  `make demo` shows it, `make check` tests it; README.md says more.
#
# Variables that one may set:
#	B	where results go (build)
#	CC	compiler (gcc);  CFLAGS, LDFLAGS, CPPFLAGS as usual
#	SAN	address,undefined and the like, for -fsanitize
#	WERROR	-Werror to make warnings errors
#	PREFIX	/usr/local;  DESTDIR for staged installs
#	RUNDIR	/run/tuntapd, where the sockets are

VERSION	:= 0.1.0
B	?= build
ifeq ($(origin CC),default)
CC	= gcc
endif
PREFIX	?= /usr/local
RUNDIR	?= /run/tuntapd
CFLAGS	?= -O2 -g
SAN	?=

BINDIR	= $(PREFIX)/bin
SBINDIR	= $(PREFIX)/sbin
LIBDIR	= $(PREFIX)/lib
INCDIR	= $(PREFIX)/include
MANDIR	= $(PREFIX)/share/man
# systemd and udev look below /usr/local/lib and /usr/lib, and so does what
# `pkg-config systemd` says with this prefix.  ip of Debian 12 looks in /etc,
# which belongs to no other prefix than those two.
UNITDIR	?= $(PREFIX)/lib/systemd/system
NETWORKDIR ?= $(PREFIX)/lib/systemd/network
SYSUSERSDIR ?= $(PREFIX)/lib/sysusers.d
TMPFILESDIR ?= $(PREFIX)/lib/tmpfiles.d
UDEVDIR	?= $(PREFIX)/lib/udev
# zsh of Debian looks below /usr/share/zsh/vendor-completions instead.
BASHCOMPDIR ?= $(PREFIX)/share/bash-completion/completions
ZSHCOMPDIR ?= $(PREFIX)/share/zsh/site-functions
FISHCOMPDIR ?= $(PREFIX)/share/fish/vendor_completions.d
# Where the daemon looks, whatever LIBDIR is.
POLICYDIR = $(PREFIX)/lib/tuntapd/policy.d
RTPROTOSDIR ?= $(if $(filter /usr /usr/local,$(PREFIX)),/etc,$(PREFIX)/share)/iproute2/rt_protos.d

WARN	= -Wall -Wextra -Wshadow -Wconversion -Wstrict-prototypes \
	  -Wmissing-prototypes -Wformat=2 -Wvla $(WERROR)
HARDEN	= -fstack-protector-strong $(if $(SAN),,-U_FORTIFY_SOURCE -D_FORTIFY_SOURCE=2)
SANFLAGS = $(if $(SAN),-fsanitize=$(SAN) -fno-omit-frame-pointer -fno-sanitize-recover=all)
DEFS	= -D_GNU_SOURCE -DTUNTAPD_VERSION='"$(VERSION)"' \
	  -DTUNTAPD_SOCKET_PATH='"$(RUNDIR)/tuntapd.sock"' \
	  -DTUNTAPD_ADMIN_SOCKET_PATH='"$(RUNDIR)/admin.sock"' \
	  $(if $(SAN),-DTUNTAPD_SANITIZED)
# What an object depends on it does by whichever name B is given, build or a path
# from / on.
BOTH_NAMES = $(foreach name,$(sort $@ $(abspath $@) $(patsubst $(CURDIR)/%,%,$@)),-MT '$(name)')
COMPILE	= $(CC) -std=c11 $(DEFS) $(CPPFLAGS) $(WARN) $(CFLAGS) $(HARDEN) \
	  $(SANFLAGS) -MMD -MP $(BOTH_NAMES) -c
LINK	= $(CC) $(CFLAGS) $(SANFLAGS) -Wl,-z,relro,-z,now $(LDFLAGS)

# Asked for when it is needed, not when make starts: `make deps` may come first.
PC	= $(shell pkg-config --$(1) $(2))
DAEMON_LIBS = $(call PC,libs,libevent_core libmnl libmd libseccomp) -pthread
CTL_LIBS = $(call PC,libs,jansson libmnl ncursesw) -pthread
CHECK_LIBS = $(call PC,libs,check) -pthread

SYSTEM	:= linux
# Linux alone has netlink and the source guard, whatever their files are named.
ELSEWHERE = $(if $(filter linux,$(SYSTEM)),,daemon/rtnl% daemon/guard%)
src	= $(filter-out %_linux.c %_darwin.c $(ELSEWHERE),$(wildcard $(1)/*.c)) \
	  $(wildcard $(1)/*_$(SYSTEM).c)
PROTO	:= $(filter-out proto/describe.c,$(call src,proto))
POLICY	:= $(call src,policy)
DAEMON	:= $(call src,daemon)
LIB	:= $(call src,libclient)
CTL	:= $(call src,ctl)
EXAMPLES := $(patsubst %.c,%,$(wildcard examples/*.c))
UNIT	:= $(patsubst %.c,%,$(wildcard tests/unit/*.c))
LIVE	:= $(patsubst %.c,%,$(wildcard tests/live/test_*.c))
HOSTILE	:= $(wildcard tests/hostile/*.c)
BENCH	:= $(patsubst %.c,%,$(wildcard tests/bench/bench_*.c))
PLAYERS	:= ours raw traffic control_ours control_raw allocations
FUZZ	:= $(patsubst tests/fuzz/fuzz_%.c,%,$(wildcard tests/fuzz/fuzz_*.c))
obj	= $(patsubst %.c,$(B)/obj/%.o,$(1))
pic	= $(patsubst %.c,$(B)/pic/%.o,$(1))

SONAME	:= libtuntapd.so.0
SOFILE	:= libtuntapd.so.$(VERSION)
MAN	:= $(patsubst man/%.in,$(B)/man/%,$(wildcard man/*.in)) \
	   $(filter-out %.in,$(wildcard man/*.[0-9]))
# "PAGE FUNCTION" for each function that a page of another name explains.
ALIASES	= $(shell awk 'FNR == 1 { n = split(FILENAME, part, "/"); \
	    page = part[n] } /^\.Sh/ { names = $$2 == "NAME" } \
	    names && $$1 == ".Nm" && $$2 ".3" != page { print page "/" $$2 }' \
	    $(wildcard man/*.3))

comma	:= ,
Q	= @
say	= @printf '  %-5s %s\n' $(1) $@

all: $(B)/tuntapd $(B)/tuntapctl $(B)/libtuntapd.a $(B)/libtuntapd.so \
	$(B)/libtuntapd.pc $(addprefix $(B)/,$(wildcard systemd/*)) \
	$(addprefix $(B)/,$(EXAMPLES)) $(MAN)
.PHONY: all

# --- compiling ---------------------------------------------------------------

# Changes when what is compiled with changes, and then everything is compiled.
FLAGS	= $(CC) $(DEFS) $(CPPFLAGS) $(CFLAGS) $(LDFLAGS) $(SANFLAGS) $(WERROR)
$(B)/flags: FORCE
	@mkdir -p $(@D); printf '%s\n' '$(subst ','\'',$(FLAGS))' | cmp -s - $@ || \
	 printf '%s\n' '$(subst ','\'',$(FLAGS))' > $@
FORCE:
.PHONY: FORCE

$(B)/obj/%.o: %.c $(B)/flags
	$(call say,CC)
	$(Q)mkdir -p $(@D) && $(COMPILE) -o $@ $<
$(B)/pic/%.o: %.c $(B)/flags
	$(call say,CC)
	$(Q)mkdir -p $(@D) && $(COMPILE) -fPIC -o $@ $<
# The daemon with the fault hook, for tests; and the one that differs from the
# product in nothing but that a system call that is not listed ends it.
$(B)/fault/%.o: %.c $(B)/flags
	$(call say,CC)
	$(Q)mkdir -p $(@D) && $(COMPILE) -DTUNTAPD_FAULT -DTUNTAPD_STRICT -o $@ $<
$(B)/strict/%.o: %.c $(B)/flags
	$(call say,CC)
	$(Q)mkdir -p $(@D) && $(COMPILE) -DTUNTAPD_STRICT -o $@ $<
# libmnl's iteration macro mixes long and int.
$(B)/obj/daemon/rtnl_parse.o $(B)/fault/daemon/rtnl_parse.o: private WARN += -Wno-conversion
$(addprefix $(B)/obj/ctl/,dump_linux.o links_linux.o routes_linux.o guard_linux.o): \
	private WARN += -Wno-conversion
# And so do the kernel's, where a library has nothing but libc.
$(B)/obj/libclient/host_linux.o $(B)/pic/libclient/host_linux.o: \
	private WARN += -Wno-conversion -Wno-sign-conversion

-include $(shell find $(B) -path $(B)/deb -prune -o -type f -name '*.d' -print 2>/dev/null)

# --- what there is -----------------------------------------------------------

$(B)/tuntapd: $(call obj,$(DAEMON) $(POLICY) $(PROTO))
	$(call say,LINK)
	$(Q)$(LINK) -o $@ $^ $(DAEMON_LIBS)

CALLS	:= daemon/confine_calls_linux.c
$(B)/tuntapd-strict: $(call obj,$(filter-out $(CALLS),$(DAEMON)) $(POLICY) $(PROTO)) \
		$(patsubst %.c,$(B)/strict/%.o,$(CALLS))
	$(call say,LINK)
	$(Q)$(LINK) -o $@ $^ $(DAEMON_LIBS)

$(B)/tuntapd-fault: $(patsubst %.c,$(B)/fault/%.o,$(DAEMON)) $(call obj,$(POLICY) $(PROTO))
	$(call say,LINK)
	$(Q)$(LINK) -o $@ $^ $(DAEMON_LIBS)

# One object, in which only the public names are global.
ARCHIVE	= ld -r -o $(B)/libtuntapd.o $^ && \
	 objcopy --wildcard --keep-global-symbol='ttd_*' $(B)/libtuntapd.o && \
	 ar rcs $@ $(B)/libtuntapd.o
$(B)/libtuntapd.a: $(call pic,$(LIB) $(PROTO))
	$(call say,AR)
	$(Q)rm -f $@ && $(ARCHIVE)

$(B)/$(SOFILE): $(call pic,$(LIB) $(PROTO)) libclient/libtuntapd.map
	$(call say,LINK)
	$(Q)$(LINK) -shared -Wl,-soname,$(SONAME) \
	 -Wl,--version-script=libclient/libtuntapd.map \
	 $(if $(SAN),,-Wl,-z,defs) -o $@ $(filter %.o,$^) -pthread
$(B)/libtuntapd.so: $(B)/$(SOFILE)
	$(Q)ln -sf $(SOFILE) $(B)/$(SONAME) && ln -sf $(SONAME) $@

# Anew each time: it names the prefix.
$(B)/libtuntapd.pc: libclient/libtuntapd.pc.in FORCE
	$(Q)mkdir -p $(@D) && sed 's|@PREFIX@|$(PREFIX)|; s|@INCLUDEDIR@|$(INCDIR)|; s|@LIBDIR@|$(LIBDIR)|; s|@VERSION@|$(VERSION)|' $< > $@

# Likewise.
$(B)/systemd/%: systemd/% FORCE
	$(Q)mkdir -p $(@D) && sed 's|@SBINDIR@|$(SBINDIR)|g; s|@BINDIR@|$(BINDIR)|g; s|@RUNDIR@|$(RUNDIR)|g' $< > $@

$(B)/tuntapctl: $(call obj,$(CTL) $(POLICY) $(PROTO)) $(B)/libtuntapd.a
	$(call say,LINK)
	$(Q)$(LINK) -o $@ $^ $(CTL_LIBS)

$(B)/examples/%: $(B)/obj/examples/%.o $(B)/libtuntapd.a
	$(call say,LINK)
	$(Q)mkdir -p $(@D) && $(LINK) -o $@ $^ -pthread
$(B)/obj/examples/%.o: private CPPFLAGS += -Ilibclient

# --- manual ------------------------------------------------------------------

$(B)/describe: $(call obj,proto/describe.c $(PROTO))
	$(call say,LINK)
	$(Q)$(LINK) -o $@ $^
$(B)/man/%: man/%.in $(B)/describe
	$(call say,MAN)
	$(Q)mkdir -p $(@D) && $(B)/describe mdoc > $(B)/man/tables && \
	 sed -e '/^@TABLES@$$/{r $(B)/man/tables' -e 'd}' $< > $@

# --- tests -------------------------------------------------------------------

TEST_OBJ = $(call obj,$(POLICY) $(PROTO))
$(B)/tests/unit/%: $(B)/obj/tests/unit/%.o $(B)/unit.a
	$(call say,LINK)
	$(Q)mkdir -p $(@D) && $(LINK) -o $@ $^ $(CHECK_LIBS) \
	 $(DAEMON_LIBS) $(CTL_LIBS)
$(B)/tests/unit/test_guard: $(call obj,$(wildcard tests/reference/guard_*.c))
$(B)/tests/unit/test_offload: $(call obj,$(wildcard tests/reference/segment*.c))
$(B)/tests/unit/test_xnu: $(call obj,$(wildcard tests/darwin/xnu/*.c))
# Everything but the mains, to pick from.
$(B)/unit.a: $(call obj,$(PROTO) $(POLICY) $(LIB) \
		$(filter-out %/main.c,$(DAEMON)) \
		$(filter-out %/tuntapctl.c,$(CTL)))
	$(Q)rm -f $@ && ar rcs $@ $^

$(B)/tests/live/%: $(B)/obj/tests/live/%.o $(B)/obj/tests/live/harness.o $(B)/unit.a
	$(call say,LINK)
	$(Q)mkdir -p $(@D) && $(LINK) -o $@ $^ $(CHECK_LIBS) $(DAEMON_LIBS) $(LIVE_LIBS)
# It reads JSON.
$(B)/tests/live/test_stats: private LIVE_LIBS = $(call PC,libs,jansson)

# A module for the C library, not for a sanitizer.
$(B)/tests/live/libnss_stub.so.2: tests/live/nss_stub.c
	$(call say,LINK)
	$(Q)mkdir -p $(@D) && $(CC) -std=c11 $(DEFS) $(WARN) -shared -fPIC -o $@ $<

$(B)/tests/live/test_slow_close: $(B)/obj/tests/live/fuse.o

$(B)/tests/bench/bench_%: $(B)/obj/tests/bench/bench_%.o $(B)/obj/tests/live/harness.o $(B)/unit.a
	$(call say,LINK)
	$(Q)mkdir -p $(@D) && $(LINK) -o $@ $^ $(CHECK_LIBS) $(DAEMON_LIBS)

# What bench.py lets run beside each other.
$(B)/tests/bench/ours: $(B)/libtuntapd.a
$(B)/tests/bench/raw: $(B)/obj/tests/bench/raw_split.o
$(B)/tests/bench/control_ours: $(B)/obj/tests/bench/control.o $(B)/libtuntapd.a
$(B)/tests/bench/control_raw: $(B)/obj/tests/bench/control.o $(B)/unit.a
$(B)/tests/bench/control_raw: private PLAYER_LIBS = $(DAEMON_LIBS)
$(B)/tests/bench/allocations: $(B)/libtuntapd.a
$(B)/tests/bench/allocations: private PLAYER_LIBS = \
	$(addprefix -Wl$(comma)--wrap=,malloc calloc realloc)
$(addprefix $(B)/tests/bench/,$(PLAYERS)): $(B)/tests/bench/%: $(B)/obj/tests/bench/%.o $(B)/obj/tests/bench/contestant.o
	$(call say,LINK)
	$(Q)mkdir -p $(@D) && $(LINK) -o $@ $(filter %.o,$^) $(filter %.a,$^) $(PLAYER_LIBS) -pthread

$(B)/tests/hostile/hostile: $(call obj,$(HOSTILE) tests/live/fuse.c) $(B)/obj/tests/live/harness.o $(B)/unit.a
	$(call say,LINK)
	$(Q)mkdir -p $(@D) && $(LINK) -o $@ $^ $(CHECK_LIBS) $(DAEMON_LIBS)

# What is pure of the library, and the reading beside it.
OFFLOAD	= $(addprefix libclient/,inet.c split.c join.c) \
	  tests/reference/segment.c
$(B)/replay/offload: $(call obj,$(OFFLOAD))
$(B)/replay/%: $(B)/obj/tests/fuzz/fuzz_%.o $(B)/obj/tests/fuzz/replay.o $(TEST_OBJ)
	$(call say,LINK)
	$(Q)mkdir -p $(@D) && $(LINK) -o $@ $^

# The evaluator for the reference's questions.
$(B)/judge: $(B)/obj/tests/reference/judge.o $(TEST_OBJ)
	$(call say,LINK)
	$(Q)$(LINK) -o $@ $^ $(CTL_LIBS)

tests: all $(B)/judge $(addprefix $(B)/,$(UNIT) $(LIVE) $(BENCH)) \
	$(B)/tests/live/libnss_stub.so.2 \
	$(addprefix $(B)/tests/bench/,$(PLAYERS)) $(B)/tests/hostile/hostile \
	$(B)/tuntapd-fault $(B)/tuntapd-strict \
	$(addprefix $(B)/replay/,$(FUZZ))
.PHONY: tests

# Packages first, in a make of its own: it may be what brings the compiler.
deps-demo:
	@sh tests/need.sh build
deps:
	@sh tests/need.sh build test
deps-deb:
	@sh tests/need.sh build deb
deps-ci:
	@sh tests/need.sh build test deb ci

# A job for each processor, unless make was told with -j how many.
JOBS	= $(if $(filter -j%,$(MAKEFLAGS)),,-j$(shell nproc))

demo: deps-demo
	@$(MAKE) --no-print-directory $(JOBS) all
	@sh tests/demo.sh $(B)

# Without and with the sanitizers, or one of them alone: see tests/run.sh.
VARIANTS = $(or $(TEST_VARIANTS),plain asan)
check: deps
	@$(MAKE) --no-print-directory check-deps
	@$(MAKE) --no-print-directory $(JOBS) tests
	@$(if $(filter asan,$(VARIANTS)),$(MAKE) --no-print-directory \
	 $(JOBS) B=$(B)/asan SAN=address$(comma)undefined tests)
	@TEST_VARIANTS='$(VARIANTS)' sh tests/run.sh $(B)

# The unit tests alone, without the sanitizers and without root's rights.
check-unit: $(addprefix $(B)/,$(UNIT))
	@TEST_VARIANTS=plain sh tests/run.sh $(B) 'unit/*'
.PHONY: check-unit

ci: deps-ci
	@sh tests/ci.sh $(B)

# What is installed, in a systemd that has booted in a namespace.
check-systemd: deps-ci
	@$(MAKE) --no-print-directory $(JOBS) all
	@sh tests/systemd.sh $(B)
.PHONY: check-systemd

# The packages, in such a machine: installed, used, upgraded and purged.
check-deb: deps-ci
	@$(MAKE) --no-print-directory $(JOBS) all
	@$(MAKE) --no-print-directory deb
	@sh tests/deb.sh $(B)
.PHONY: check-deb

# The library's ABI beside the one in libclient/abi; abi-update writes that anew.
abi: $(B)/libtuntapd.so
	@sh tests/abi.sh $(B)
abi-update: $(B)/libtuntapd.so
	@sh tests/abi.sh $(B) --update
.PHONY: abi abi-update

# On the kernel of Debian 12, in a machine that qemu boots.
check-kernel: deps-ci
	@$(MAKE) --no-print-directory $(JOBS) tests
	@sh tests/kernel.sh $(B)
.PHONY: check-kernel

# Figures, on a quiet machine; see tests/bench/README.md.
BENCH_WORDS = $(foreach word,$(BENCH_ONLY),--only '$(word)') \
	$(if $(BENCH_ROUNDS),--rounds $(BENCH_ROUNDS)) \
	--json $(B)/bench.json --markdown $(B)/bench.md --svg $(B)/bench.svg
bench: deps
	@$(MAKE) --no-print-directory $(JOBS) tests
	@python3 -B tests/bench/bench.py $(B) $(BENCH_WORDS)
	@$(if $(BENCH_ONLY),:,TUNTAPD_BUILD=$(B) CK_FORK=yes \
		$(B)/tests/bench/bench_guard)
# With other libraries beside: these want Go and Rust, each as far as it is here.
bench-peers: deps
	@$(MAKE) --no-print-directory $(JOBS) tests
	@python3 -B tests/bench/peers.py $(B)/bench-peers
	@python3 -B tests/bench/bench.py $(B) --peers $(B)/bench-peers $(BENCH_WORDS)
.PHONY: bench bench-peers

# For macOS, built here; see tests/darwin/macos.mk.
macos:
	@sh tests/need.sh macos
	@$(MAKE) --no-print-directory -f tests/darwin/macos.mk macos
check-macos: macos
	@sh tests/macos.sh build/macos
.PHONY: macos check-macos

# Clients that mean harm; see tests/hostile/README.md.
hostile: deps
	@$(MAKE) --no-print-directory $(JOBS) all $(B)/tuntapd-strict $(B)/tests/hostile/hostile
	@TUNTAPD_BUILD=$(B) $(B)/tests/hostile/hostile --json $(B)/hostile.json
.PHONY: hostile

# Who may include whom, see CONTRIBUTING.md.
check-deps:
	@sh tests/check-deps.sh
.PHONY: deps deps-demo deps-deb deps-ci demo check ci check-deps

# --- fuzzing, with clang -----------------------------------------------------

$(B)/fuzz/offload: $(OFFLOAD)
$(B)/fuzz/%: tests/fuzz/fuzz_%.c $(PROTO) $(POLICY)
	$(call say,FUZZ)
	$(Q)mkdir -p $(@D) && clang -std=c11 $(DEFS) -g -O1 \
	 -fsanitize=fuzzer,address,undefined -fno-sanitize-recover=all -o $@ $(filter %.c,$^)
$(B)/fuzz/wire.dict: $(B)/describe
	$(Q)mkdir -p $(@D) && $< dict > $@
fuzz: $(addprefix $(B)/fuzz/,$(FUZZ)) $(B)/fuzz/wire.dict
.PHONY: fuzz

# --- installing --------------------------------------------------------------

# FILE:WHERE, as which one of systemd/ is installed.
SYSTEMD	= tuntapd.service:$(UNITDIR)/tuntapd.service \
	  tuntapd.socket:$(UNITDIR)/tuntapd.socket \
	  tuntapd-admin.socket:$(UNITDIR)/tuntapd-admin.socket \
	  sysusers.conf:$(SYSUSERSDIR)/tuntapd.conf \
	  tmpfiles.conf:$(TMPFILESDIR)/tuntapd.conf \
	  70-tuntapd.rules:$(UDEVDIR)/rules.d/70-tuntapd.rules \
	  00-tuntapd.link:$(NETWORKDIR)/00-tuntapd.link \
	  00-tuntapd.network:$(NETWORKDIR)/00-tuntapd.network \
	  rt_protos.conf:$(RTPROTOSDIR)/tuntapd.conf
# Likewise of ctl/completions/.
COMPLETIONS = tuntapctl.bash:$(BASHCOMPDIR)/tuntapctl \
	  _tuntapctl:$(ZSHCOMPDIR)/_tuntapctl \
	  tuntapctl.fish:$(FISHCOMPDIR)/tuntapctl.fish

install: all
	install -d $(DESTDIR)$(SBINDIR) $(DESTDIR)$(BINDIR) $(DESTDIR)$(INCDIR) \
	 $(DESTDIR)$(LIBDIR)/pkgconfig $(DESTDIR)$(MANDIR)
	install -m 0755 $(B)/tuntapd $(DESTDIR)$(SBINDIR)/tuntapd
	install -m 0755 $(B)/tuntapctl $(DESTDIR)$(BINDIR)/tuntapctl
	install -m 0644 libclient/tuntapd.h $(DESTDIR)$(INCDIR)/tuntapd.h
	install -m 0644 $(B)/libtuntapd.a $(DESTDIR)$(LIBDIR)/libtuntapd.a
	install -m 0644 $(B)/$(SOFILE) $(DESTDIR)$(LIBDIR)/$(SOFILE)
	ln -sf $(SOFILE) $(DESTDIR)$(LIBDIR)/$(SONAME)
	ln -sf $(SONAME) $(DESTDIR)$(LIBDIR)/libtuntapd.so
	install -d $(DESTDIR)$(POLICYDIR)
	install -m 0644 policy/50-tuntap.conf $(DESTDIR)$(POLICYDIR)/50-tuntap.conf
	install -m 0644 $(B)/libtuntapd.pc $(DESTDIR)$(LIBDIR)/pkgconfig/libtuntapd.pc
	for each in $(SYSTEMD); do \
		install -D -m 0644 $(B)/systemd/$${each%%:*} \
		 $(DESTDIR)$${each#*:} || exit 1; \
	done
	for each in $(COMPLETIONS); do \
		install -D -m 0644 ctl/completions/$${each%%:*} \
		 $(DESTDIR)$${each#*:} || exit 1; \
	done
	for page in $(MAN); do \
		install -d $(DESTDIR)$(MANDIR)/man$${page##*.} && \
		install -m 0644 $$page $(DESTDIR)$(MANDIR)/man$${page##*.}/ || exit 1; \
	done
	for alias in $(ALIASES); do \
		echo ".so man3/$${alias%/*}" \
			>$(DESTDIR)$(MANDIR)/man3/$${alias#*/}.3 || exit 1; \
	done

uninstall:
	rm -f $(DESTDIR)$(SBINDIR)/tuntapd $(DESTDIR)$(BINDIR)/tuntapctl \
	 $(DESTDIR)$(INCDIR)/tuntapd.h $(DESTDIR)$(LIBDIR)/libtuntapd.a \
	 $(DESTDIR)$(LIBDIR)/$(SOFILE) $(DESTDIR)$(LIBDIR)/$(SONAME) \
	 $(DESTDIR)$(LIBDIR)/libtuntapd.so \
	 $(DESTDIR)$(POLICYDIR)/50-tuntap.conf \
	 $(DESTDIR)$(LIBDIR)/pkgconfig/libtuntapd.pc
	rmdir $(DESTDIR)$(POLICYDIR) $(dir $(DESTDIR)$(POLICYDIR)) 2>/dev/null || :
	for each in $(SYSTEMD) $(COMPLETIONS); do \
		rm -f $(DESTDIR)$${each#*:}; \
	done
	for page in $(notdir $(MAN)); do \
		rm -f $(DESTDIR)$(MANDIR)/man$${page##*.}/$$page; \
	done
	for alias in $(ALIASES); do \
		rm -f $(DESTDIR)$(MANDIR)/man3/$${alias#*/}.3; \
	done

# --- a tarball, and packages -------------------------------------------------

RELEASE	:= tuntapd-$(VERSION)
TARBALL	= $(B)/$(RELEASE).tar.gz
# What git knows, as it is here, with the time of the last commit; unpacked from a
# tarball what that had, with the time that it gave to all.
GIT	= git -c safe.directory='$(CURDIR)'
LIST_FILES = if [ -e .git ]; then $(GIT) ls-files -z; else \
	find . -path ./build -prune -o -path ./$(B) -prune -o -type f -printf '%P\0'; fi
FILES_TIME = $(shell if [ -e .git ]; then $(GIT) log -1 --format=%ct; else \
	stat -c %Y Makefile; fi)

# Where, when and by whom it is made does not show: the same bytes each time.
dist:
	$(Q)mkdir -p $(B) && { $(LIST_FILES); } >$(B)/files
	$(Q)LC_ALL=C sort -z $(B)/files | tar -c -f $(TARBALL:.gz=) --null \
	 --no-recursion --files-from=- --format=ustar --mode=u=rwX,go=rX \
	 --owner=0 --group=0 --numeric-owner --mtime=@$(FILES_TIME) \
	 --transform='flags=r;s|^|$(RELEASE)/|'
	$(Q)gzip -n -9 -f $(TARBALL:.gz=) && rm $(B)/files
	@echo $(TARBALL)

# Lower than -1, which is Debian's to give.
DEBVERSION = $(VERSION)-0upstream1
# From the tarball, with nothing of this make in between.
deb: deps-deb dist
	$(Q)rm -rf $(B)/deb && mkdir -p $(B)/deb && tar -x -C $(B)/deb -f $(TARBALL)
	$(Q)cd $(B)/deb/$(RELEASE) && sed -e 's/@VERSION@/$(DEBVERSION)/' \
	 -e "s/@DATE@/$$(LC_ALL=C date -u -R -d @$(FILES_TIME))/" \
	 debian/changelog.in >debian/changelog && \
	 env -i PATH="$$PATH" HOME="$$HOME" LC_ALL=C.UTF-8 \
	  DEB_BUILD_OPTIONS="$$DEB_BUILD_OPTIONS" \
	  dpkg-buildpackage --build=binary --no-sign
	$(Q)rm -rf $(B)/deb/$(RELEASE)
	@ls $(B)/deb/*.deb
.PHONY: dist deb

clean:
	rm -rf $(B)
.PHONY: install uninstall clean
.SECONDARY:
